"""Documents from files: CSV, JSON lines, a JSON list, texts."""

import json

import pytest

from client.documents import read_documents
from client.errors import Usage


def test_a_csv_gives_a_document_per_row(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text('id,body\nt-1,"two\nlines"\nt-2,b\n', encoding="utf-8-sig")
    documents = read_documents(path, text_column="body")
    assert documents == [{"id": "t-1", "text": "two\nlines"}, {"id": "t-2", "text": "b"}]


def test_a_csv_without_ids_numbers_its_rows(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("text\na\n\nb\n")
    assert [one["id"] for one in read_documents(path)] == ["doc-1", "doc-2"]


def test_an_unknown_column_is_refused_with_the_known_ones(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("id,words\n1,a\n")
    with pytest.raises(Usage, match=r"--text-column.*id, words"):
        read_documents(path)
    with pytest.raises(Usage, match="no column 'key'"):
        read_documents(path, text_column="words", id_column="key")


def test_json_lines_may_be_texts_or_objects(tmp_path):
    path = tmp_path / "t.jsonl"
    path.write_text('"a"\n{"id": "x", "text": "b", "label": "dropped"}\n')
    assert read_documents(path) == [{"id": "doc-1", "text": "a"}, {"id": "x", "text": "b"}]


def test_a_wrong_line_is_named_with_its_number(tmp_path):
    path = tmp_path / "t.jsonl"
    path.write_text('"a"\n{"id": "x"}\n')
    with pytest.raises(Usage, match="line 2"):
        read_documents(path)


def test_a_json_list_keeps_metadata(tmp_path):
    path = tmp_path / "t.json"
    path.write_text(json.dumps([{"text": "a", "metadata": {"n": 1}}]))
    assert read_documents(path) == [{"id": "doc-1", "text": "a", "metadata": {"n": 1}}]


def test_a_folder_gives_a_document_per_text_file_by_name(tmp_path):
    (tmp_path / "b.txt").write_text("second")
    (tmp_path / "a.txt").write_text("first")
    (tmp_path / "c.md").write_text("no")
    assert [one["id"] for one in read_documents(tmp_path)] == ["a", "b"]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("t.csv", b"text\n\xff\n", "not UTF-8"),
        ("t.json", b'{"a": 1}', "JSON list"),
        ("t.json", b"[", "not JSON"),
        ("t.jsonl", b"\n", "no document"),
        ("t.xlsx", b"x", "write a .csv"),
        ("t.csv", b'text\n"open\n', "line"),
    ],
)
def test_what_cannot_be_read_says_why(tmp_path, name, content, message):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(Usage, match=message):
        read_documents(path)


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(Usage, match="does not exist"):
        read_documents(tmp_path / "no.csv")
