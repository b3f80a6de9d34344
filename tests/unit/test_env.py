import pytest

from daef_site import env


@pytest.mark.parametrize("value", ["0", "101", "five", "1_0", "٥", "1.5", "-1", "9" * 30])
def test_a_number_out_of_range_is_refused_by_name(monkeypatch, value):
    monkeypatch.setenv("DAEF_X", value)
    with pytest.raises(env.BadSetting, match=r"DAEF_X.*whole number from 1 to 100"):
        env.whole_number("DAEF_X", 5, least=1, most=100)


def test_an_empty_variable_means_the_default(monkeypatch):
    monkeypatch.setenv("DAEF_X", " ")
    assert env.whole_number("DAEF_X", 5, least=1, most=100) == 5
    assert env.number("DAEF_X", 0.5, least=0.5, most=9) == 0.5
    assert env.flag("DAEF_X", True) is True


@pytest.mark.parametrize("value", ["nan", "inf", "0.4", "ten"])
def test_a_fraction_out_of_range_is_refused(monkeypatch, value):
    monkeypatch.setenv("DAEF_X", value)
    with pytest.raises(env.BadSetting, match="DAEF_X"):
        env.number("DAEF_X", 15, least=0.5, most=3600)


def test_a_choice_names_what_is_allowed(monkeypatch):
    monkeypatch.setenv("DAEF_X", "sqlite")
    with pytest.raises(env.BadSetting, match="memory, embedded, postgres"):
        env.choice("DAEF_X", ("memory", "embedded", "postgres"), "memory")


def test_a_secret_may_stand_in_a_file(monkeypatch, tmp_path):
    (tmp_path / "secret").write_text("hunter2\n")
    monkeypatch.setenv("DAEF_X_FILE", str(tmp_path / "secret"))
    assert env.secret("DAEF_X") == "hunter2"


def test_a_secret_in_two_places_is_refused(monkeypatch, tmp_path):
    monkeypatch.setenv("DAEF_X", "a")
    monkeypatch.setenv("DAEF_X_FILE", str(tmp_path / "secret"))
    with pytest.raises(env.BadSetting, match="keep one"):
        env.secret("DAEF_X")


def test_a_missing_secret_file_is_named(monkeypatch, tmp_path):
    monkeypatch.setenv("DAEF_X_FILE", str(tmp_path / "none"))
    with pytest.raises(env.BadSetting, match=r"DAEF_X_FILE.*none"):
        env.secret("DAEF_X")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("127.0.0.1:8080", ("127.0.0.1", 8080)),
        ("[::1]:8080", ("::1", 8080)),
        (":8080", ("0.0.0.0", 8080)),
        ("localhost:1", ("localhost", 1)),
    ],
)
def test_addresses_are_read(monkeypatch, value, expected):
    monkeypatch.setenv("DAEF_X", value)
    assert env.address("DAEF_X", "127.0.0.1:1") == expected


@pytest.mark.parametrize("value", ["8080", "host", "host:", "host:0", "host:65536", "host:8o8o"])
def test_what_is_no_address_is_refused(monkeypatch, value):
    monkeypatch.setenv("DAEF_X", value)
    with pytest.raises(env.BadSetting, match="host:port"):
        env.address("DAEF_X", "127.0.0.1:1")


def test_a_dsn_keeps_its_parameters():
    parts = env.postgres_parts("DSN", "postgres://u:p%40ss@db.example:6432/daef?sslmode=disable")
    assert parts == {
        "NAME": "daef",
        "USER": "u",
        "PASSWORD": "p@ss",
        "HOST": "db.example",
        "PORT": 6432,
        "OPTIONS": {"sslmode": "disable"},
    }


@pytest.mark.parametrize(
    "dsn", ["mysql://u:hunter2@h/d", "postgres://", "postgres://u:hunter2@h:x/d", "u:hunter2@h"]
)
def test_a_wrong_dsn_is_refused_without_its_password(dsn):
    with pytest.raises(env.BadSetting) as refusal:
        env.postgres_parts("DAEF_POSTGRES_DSN", dsn)
    assert "DAEF_POSTGRES_DSN" in str(refusal.value)
    assert "hunter2" not in str(refusal.value)


def test_a_redis_address_takes_password_and_database():
    url = env.redis_url("DAEF_REDIS_ADDR", "h:6379", password="a/b", database=3)
    assert url == "redis://:a%2Fb@h:6379/3"


@pytest.mark.parametrize("token", ["", "yes", "a-b_c.d~e+f/g==!", "x" * 512])
def test_what_can_stand_in_a_header_is_taken(token):
    assert env.header_text("DAEF_X", token) == token


@pytest.mark.parametrize(
    "token", ["hunter2,yes", "hunter2 yes", "hunter2é", "hunter2\n", "x" * 513]
)
def test_what_can_not_stand_in_a_header_is_refused_without_showing_it(token):
    with pytest.raises(env.BadSetting, match="DAEF_X") as refusal:
        env.header_text("DAEF_X", token)
    assert "hunter2" not in str(refusal.value)
