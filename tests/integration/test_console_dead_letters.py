"""Dead letters in the console: few causes, a dry run, a reason, one action, one audit entry."""

import re
from datetime import timedelta
from html import unescape

import pytest
from django.core.cache import cache
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from audit.models import AuditEntry
from jobs.models import DeadLetter, Task
from jobs.policies.causes import fingerprint
from tests.integration.burials import buried, names
from tests.integration.console import operator, page, staff, text
from tests.integration.minutes import early_in_a_minute
from tests.integration.scenario import register, statuses

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("sound_database")]

LIST = "/admin/jobs/deadletter/"
REQUEUE = "/admin/jobs/deadletter/requeue/"
WHY = "key rotated, OPS-2291"
EVIL = "<script>alert(1)</script>"


@pytest.fixture
def console():
    return operator()


def plain(html):
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", " ", html)))


def form_of(response, button=""):
    """The fields of the confirm page's form, as a browser without a script sends them."""
    html = text(response)
    form = html[html.rindex('<form method="post"') :]
    fields = re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)">', form)
    return {
        **{name: unescape(value) for name, value in fields},
        **({button: "1"} if button else {}),
    }


def tried(console, **chosen):
    """The confirm page of what was chosen."""
    response = console.post(REQUEUE, chosen)
    assert response.status_code == 200
    return response


def done(console, shown, *, reason=WHY, button="", **more):
    """The confirm page's form, sent with a reason."""
    return console.post(REQUEUE, {**form_of(shown, button), "reason": reason, **more})


def cause_of(job):
    return DeadLetter.objects.filter(job_id=job.pk).values_list("fingerprint", flat=True)[0]


# ── the list ──────────────────────────────────────────────────────────────────────────────────────


def test_dead_letters_of_one_cause_are_one_row_with_its_advice(console):
    buried(3, owner="acme", code="endpoint_auth", message="vllm-eu answered 401")
    buried(2, owner="globex", code="endpoint_auth", message="vllm-eu answered 401")
    shown = plain(page(console, LIST))
    assert "5 tasks in 1 cause wait for a decision" in shown
    assert "5 endpoint_auth vllm-eu answered 401 2 jobs · acme 3, globex 2" in shown
    assert "Mend the endpoint's key first" in shown


def test_without_dead_letters_the_page_says_what_comes_here(console):
    assert "No dead letters. A task comes here when" in page(console, LIST)


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("tenant=acme", "first"),
        ("error_code=slow", "second"),
        ("since=1h", "second"),
        ("since=7d", "both"),
        ("tenant=nobody", "none"),
        ("job=nonsense", "none"),
    ],
)
def test_the_list_is_narrowed(console, query, found):
    old = buried(owner="acme", code="broken")
    buried(owner="globex", code="slow")
    DeadLetter.objects.filter(job_id=old.pk).update(buried_at=timezone.now() - timedelta(hours=2))
    shown = plain(page(console, f"{LIST}?{query}"))
    assert ("1 broken" in shown) == (found in ("first", "both"))
    assert ("1 slow" in shown) == (found in ("second", "both"))
    assert ("No dead letter matches" in shown) == (found == "none")


@pytest.mark.parametrize("written", ["job-{0.pk}", "{0.pk}", "{0.uid}"])
def test_the_list_is_narrowed_to_a_job(console, written):
    job = buried(code="broken")
    buried(code="slow")
    shown = plain(page(console, f"{LIST}?job={written.format(job)}"))
    assert "1 broken" in shown
    assert "1 slow" not in shown


def test_an_opened_cause_shows_its_tasks_all_chosen(console):
    job = buried(3)
    shown = page(console, f"{LIST}?cause={cause_of(job)}")
    assert shown.count('type="checkbox"') == shown.count(" checked ") == 3
    assert f'value="job-{job.pk}-3"' in shown


def test_the_tasks_of_a_cause_go_on_where_the_page_before_ended(console):
    job = buried(53)
    first = page(console, f"{LIST}?cause={cause_of(job)}")
    older = re.search(r'href="(\?[^"]*before=[^"]+)"', first)
    assert older
    second = page(console, LIST + unescape(older[1]))
    listed = [set(re.findall(r'name="task" value="([^"]+)"', shown)) for shown in (first, second)]
    assert [len(part) for part in listed] == [50, 3]
    assert not listed[0] & listed[1]


def test_many_causes_are_paged(console):
    job = buried(52)
    for letter in DeadLetter.objects.filter(job_id=job.pk):
        letter.fingerprint = fingerprint(f"code_{letter.task_id}", "it broke")
        letter.save()
    shown = page(console, LIST)
    assert "50 of 52 causes" in plain(shown)
    assert "2 of 52 causes" in plain(page(console, f"{LIST}?skip=50"))


@pytest.mark.parametrize(
    "query",
    [
        "cause=%00",
        "cause=" + "x" * 3000,
        "before=1",
        "cause=0123456789abcdef&before=99999999999999999.1",
        "cause=0123456789abcdef&before=1.999999999999999999",
        "before=%D9%A3.1",
        "skip=99999",
        "skip=-1",
        "since=always&tenant=%F0%9F",
    ],
)
def test_a_strange_address_is_answered_all_the_same(console, query):
    buried()
    assert console.get(f"{LIST}?{query}").status_code == 200


def test_what_executors_wrote_is_escaped(console):
    job = buried(message=EVIL)
    for address in (LIST, f"{LIST}?cause={cause_of(job)}", "/admin/jobs/task/"):
        assert EVIL not in page(console, address)
    assert EVIL not in text(tried(console, cause=cause_of(job)))


def test_the_name_of_a_dead_letter_leads_to_its_task(console):
    job = buried()
    response = console.get(f"{LIST}job-{job.pk}-1/")
    assert response["Location"] == f"/admin/jobs/job/job-{job.pk}/tasks/1/"


def test_the_list_costs_as_many_statements_for_30_causes_as_for_one(console):
    def cost(address):
        cache.clear()
        page(console, address)
        with CaptureQueriesContext(connection) as asked:
            page(console, address)
        return len(asked)

    job = buried(code="broken")
    one = cost(LIST), cost(f"{LIST}?cause={cause_of(job)}")
    for number in range(29):
        buried(code=f"broken_{number}", owner=f"tenant-{number}")
    buried(29, code="broken")
    assert (cost(LIST), cost(f"{LIST}?cause={cause_of(job)}")) == one


# ── the dry run ───────────────────────────────────────────────────────────────────────────────────


def test_the_confirm_page_says_what_would_happen_and_changes_nothing(console):
    job = buried(3)
    shown = plain(text(tried(console, cause=cause_of(job))))
    assert "Requeue 3 dead letters?" in shown
    assert "3 chosen 3 go back to Queued 0 are skipped" in shown
    assert "Rate this minute: 0 of" in shown
    assert statuses(job) == ["DeadLettered"] * 3
    assert AuditEntry.objects.get().result == "dry_run"


def test_what_would_be_skipped_is_named_with_its_reason(console):
    job = buried(2)
    shown = plain(text(tried(console, task=[*names(job, 1), f"job-{job.pk}-9"])))
    assert f"job-{job.pk}-9 There is no such task." in shown
    assert "1 go back to Queued 1 is skipped" in shown


def test_more_than_the_cap_are_done_in_parts(console, settings):
    settings.DAEF_ADMIN_REQUEUE_MAX_BATCH = 2
    job = buried(3)
    shown = tried(console, cause=cause_of(job))
    assert "2 of 3, the oldest now" in plain(text(shown))
    done(console, shown)
    assert sorted(statuses(job)) == ["DeadLettered", "Queued", "Queued"]


def test_more_chosen_than_the_cap_are_refused_in_words(console, settings):
    settings.DAEF_ADMIN_REQUEUE_MAX_BATCH = 2
    job = buried(3)
    assert "at most 2 at a time" in text(tried(console, task=names(job, 1, 2, 3)))


@pytest.mark.parametrize("chosen", [{}, {"tenant": "acme"}, {"cause": "0123456789abcdef"}])
def test_without_a_group_nothing_is_offered(console, chosen):
    buried()
    shown = text(tried(console, **chosen))
    assert "There is no dead letter left here" in shown
    assert 'name="reason"' not in shown


@pytest.mark.parametrize(("task", "said"), [("job-1-1; drop", "tasks[0]"), ("\0", "NUL")])
def test_a_task_that_cannot_be_one_is_refused_in_words(console, task, said):
    assert said in text(tried(console, task=[task]))


def test_the_page_says_whether_the_cause_still_happens(console):
    job = buried()
    assert "It is not known whether the cause is gone" in text(tried(console, cause=cause_of(job)))


def test_the_same_command_is_named(console):
    job = buried()
    shown = plain(text(tried(console, cause=cause_of(job))))
    assert f"manage.py requeue --cause {cause_of(job)} --reason" in shown


def test_to_look_at_the_address_goes_to_the_list(console):
    assert console.get(REQUEUE)["Location"] == LIST


# ── doing it ──────────────────────────────────────────────────────────────────────────────────────


def test_a_cause_is_requeued_with_a_reason(console):
    job = buried(3)
    answer = done(console, tried(console, cause=cause_of(job)))
    assert statuses(job) == ["Queued"] * 3
    entry = AuditEntry.objects.get(result="ok")
    assert (entry.action, entry.door, entry.actor) == (
        "dead_letter_requeue",
        "console",
        "user:operator",
    )
    assert (entry.reason, entry.target) == (WHY, fingerprint("broken", "it broke"))
    shown = text(answer)
    assert "3 tasks are Queued again" in plain(shown)
    assert f"/admin/audit/auditentry/{entry.number}/" in shown


def test_chosen_tasks_are_requeued_and_no_others(console):
    job = buried(3)
    done(console, tried(console, cause=cause_of(job), task=names(job, 1, 3)))
    assert statuses(job) == ["Queued", "DeadLettered", "Queued"]


def test_a_jobs_dead_letters_are_requeued(console):
    mine, other = buried(2), buried(2)
    done(console, tried(console, job=f"job-{mine.pk}"))
    assert statuses(mine) == ["Queued"] * 2
    assert statuses(other) == ["DeadLettered"] * 2


def test_a_group_within_filters_leaves_the_rest(console):
    mine, other = buried(2, owner="acme"), buried(2, owner="globex")
    done(console, tried(console, cause=cause_of(mine), tenant="acme"))
    assert statuses(mine) == ["Queued"] * 2
    assert statuses(other) == ["DeadLettered"] * 2


def test_five_are_tried_first(console):
    job = buried(7)
    done(console, tried(console, cause=cause_of(job)), button="few")
    assert sorted(statuses(job)) == ["DeadLettered"] * 2 + ["Queued"] * 5


def test_a_requeued_task_keeps_its_history(console):
    job = buried()
    done(console, tried(console, cause=cause_of(job)))
    assert Task.objects.get().generation == 2
    shown = plain(page(console, f"/admin/jobs/job/job-{job.pk}/tasks/1/"))
    assert "it broke" in shown


@pytest.mark.parametrize("reason", ["", "  ", "x" * 501])
def test_without_a_usable_reason_nothing_is_done(console, reason):
    job = buried(2)
    answer = done(console, tried(console, cause=cause_of(job)), reason=reason)
    assert answer.status_code == 400
    assert 'aria-invalid="true"' in text(answer)
    assert statuses(job) == ["DeadLettered"] * 2


def test_the_form_sent_twice_is_carried_out_once(console):
    job = buried()
    shown = tried(console, cause=cause_of(job))
    done(console, shown)
    hand = register()
    hand.fail(hand.claim(1))
    assert "1 task is Queued again" in plain(text(done(console, shown)))
    assert statuses(job) == ["DeadLettered"]
    assert AuditEntry.objects.filter(result="ok").count() == 1


def test_from_the_threshold_on_a_token_is_asked_for(console, settings):
    settings.DAEF_ADMIN_REQUEUE_CONFIRM_TOKEN = "sesame-open-sesame"
    settings.DAEF_ADMIN_REQUEUE_CONFIRM_THRESHOLD = 2
    job = buried(2)
    shown = tried(console, cause=cause_of(job))
    assert 'name="token"' in text(shown)
    assert "sesame" not in text(shown)
    refused = done(console, shown, token="guess")
    assert refused.status_code == 428
    assert WHY in text(refused)
    assert statuses(job) == ["DeadLettered"] * 2
    done(console, refused, token="sesame-open-sesame")
    assert statuses(job) == ["Queued"] * 2


def test_beyond_the_rate_the_page_stays_filled_and_says_when(console, settings):
    settings.DAEF_ADMIN_REQUEUE_RATE_LIMIT_PER_MIN = 1
    early_in_a_minute()
    first, second = buried(code="broken"), buried(code="slow")
    done(console, tried(console, cause=cause_of(first)))
    refused = done(console, tried(console, cause=cause_of(second)))
    assert refused.status_code == 429
    assert re.search(r"again in \d+ s", text(refused))
    assert WHY in text(refused)
    assert statuses(second) == ["DeadLettered"]


def test_who_may_only_look_sees_no_buttons_and_is_refused():
    job, viewer = buried(), staff("jobs.view_deadletter")
    shown = page(viewer, f"{LIST}?cause={cause_of(job)}")
    assert "Requeue…" not in shown
    assert "checkbox" not in shown
    response = viewer.post(REQUEUE, {"cause": cause_of(job)})
    assert response.status_code == 403
    assert "jobs.change_deadletter" in text(response)


def test_a_requeue_needs_the_form_of_its_own_page(console):
    job = buried()
    console.handler.enforce_csrf_checks = True
    assert console.post(REQUEUE, {"cause": cause_of(job)}).status_code == 403


def test_the_menu_leads_to_dead_letters_only_with_leave_to_see_them():
    assert f'href="{LIST}"' in page(staff("jobs.view_deadletter"), LIST)
    assert f'href="{LIST}"' not in page(staff("jobs.view_job", name="sue"), "/admin/jobs/job/")


def test_a_failed_jobs_page_leads_to_its_dead_letters():
    job = buried()
    address = f'href="{LIST}?job=job-{job.pk}"'
    page_of_job = f"/admin/jobs/job/job-{job.pk}/"
    assert address in page(operator(), page_of_job)
    assert address not in page(staff("jobs.view_job"), page_of_job)


def test_a_dead_tasks_page_offers_to_requeue_it_and_shows_each_generation(console):
    job = buried(2)
    address = f"/admin/jobs/job/job-{job.pk}/tasks/1/"
    assert 'name="task"' in page(console, address)
    assert 'name="task"' not in page(staff("jobs.view_job"), address)
    done(console, tried(console, task=names(job, 1)))
    hand = register()
    hand.fail(hand.claim(1))
    shown = plain(page(console, address))
    assert shown.index("Generation 1") < shown.index("Generation 2: opened again")
    assert "Dead-lettered tasks opened again by user:operator" in shown
