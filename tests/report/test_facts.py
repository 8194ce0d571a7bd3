"""What stands out in a report, against sums done by hand."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction

from report_rows import DEPLOYMENTS, FIRST, busy_sums, group, usage_sums

from aoai_cost import CostReport, Deployment, Deployments, PriceBook, Usage, cost_report
from aoai_cost.report.facts import ReportFacts, report_facts
from aoai_cost.report.finding import percent

BOOK = PriceBook.bundled()
CHAT = Deployment("aoai", "chat", "gpt-4o", "2024-11-20", "GlobalStandard", "eastus2")


def facts_of(*deployments: Deployment, calls: int = 1_000, **names: str) -> ReportFacts:
    groups = [group(one, day, calls, **names) for one in deployments for day in range(2)]
    return report_facts(cost_report(usage_sums(groups, 2), deployments=Deployments(deployments), prices=BOOK))


def sentences(facts: ReportFacts) -> str:
    assert all(finding.formula for finding in facts.findings)
    return "\n".join(finding.sentence for finding in facts.findings)


def test_what_the_cache_saved() -> None:
    facts = facts_of(CHAT)
    assert facts.cached_share == Fraction(311, 1_237 + 311)
    # Per million: input 2.50, cached input 1.25.
    assert facts.cache_savings == Fraction(2 * 311_000, 10**6) * Fraction("1.25")
    assert facts.cache_write_extra == 0
    assert "20.1 % of the prompt tokens were read from the cache, which saved 0.78 USD." in sentences(facts)


def test_what_writing_to_the_cache_cost() -> None:
    agent = next(one for one in DEPLOYMENTS if one.name == "agent")
    facts = facts_of(agent)
    day = date(2026, 8, 20)
    write, plain = (BOOK.price(Usage({meter: 10**6}), agent, on=day).amount for meter in ("cache_write", "input"))
    assert facts.cache_write_extra == Fraction(2 * 53_000, 10**6) * Fraction(write - plain)


def test_shares_of_batch_and_priority() -> None:
    nightly = replace(CHAT, name="nightly", sku="GlobalBatch")
    facts = facts_of(CHAT, nightly)
    # Per million: input 2.50, cached input 1.25, output 10; in batch the half of it, and cached input as input.
    outside = 1_237 * Fraction("2.5") + 311 * Fraction("1.25") + 97 * 10
    inside = (1_237 + 311) * Fraction("1.25") + 97 * 5
    assert facts.batch_share == inside / (outside + inside)
    assert facts.priority_share == 0
    quick = replace(CHAT, model="gpt-4.1", version="2025-04-14")
    key, calls = group(quick, 0, 10)
    sums = usage_sums([(key, calls), (key._replace(tier="priority"), calls)], 1)
    report = cost_report(sums, deployments=Deployments([quick]), prices=BOOK)
    spent = sum(report.days[report.days["tier"] == "priority"]["amount"])
    assert report_facts(report).priority_share == Fraction(spent) / Fraction(report.total) > Fraction(1, 2)


def test_what_batch_would_save() -> None:
    facts = facts_of(CHAT, calls=100_000)
    cost = 200_000 * (1_237 * Decimal("2.5") + 97 * 10) / 10**6  # cached input costs the same there
    assert f"Tokens that cost {cost:,.2f} USD would cost {cost / 2:,.2f} USD less in batch" in sentences(facts)


def test_by_model_user_and_app() -> None:
    facts = facts_of(CHAT, user="ann")
    assert [one.name for one in facts.by_model] == [("gpt-4o", "2024-11-20")]
    assert [one.name for one in facts.by_user] == [("ann",)]
    assert facts.by_app == ()
    assert facts.by_user[0].requests == 2_000
    assert facts.by_user[0].tokens == 2_000 * (1_237 + 311 + 97)
    many = [group(CHAT, 0, i + 1, user=f"user-{i}") for i in range(30)]
    found = report_facts(cost_report(usage_sums(many, 1), deployments=Deployments([CHAT]), prices=BOOK)).by_user
    assert len(found) == 21
    assert found[0].name == ("user-29",)
    assert (found[-1].name, found[-1].members, found[-1].requests) == ((), 10, sum(range(1, 11)))


def test_how_much_of_the_units_was_used() -> None:
    ptu = Deployment(
        "aoai", "ptu", "gpt-4.1", "2025-04-14", "GlobalProvisionedManaged", "eastus2", ptu_units=15,
        active_from=date(2026, 8, 21),
    )  # fmt: skip
    (found,) = facts_of(ptu).ptu
    # 3,000 input tokens per minute and PTU; an output token weighs as four, a cached one as none. One day of two.
    weighed = 1_000 * (1_237 + 4 * 97)
    assert found.days == 1
    assert found.share == Fraction(weighed, 3_000 * 15 * 24 * 60)
    assert found.source
    (unknown,) = facts_of(replace(ptu, model="contoso-chat")).ptu
    assert unknown.share is None
    assert "contoso-chat" in unknown.reason


def test_a_unit_that_is_hardly_used_is_a_finding() -> None:
    ptu = Deployment("aoai", "ptu", "gpt-4.1", "2025-04-14", "GlobalProvisionedManaged", "eastus2", ptu_units=15)
    assert "ptu used 2.5 % of what its 15 PTUs serve" in sentences(facts_of(ptu))
    assert "PTUs serve" not in sentences(facts_of(ptu, calls=30_000))


def test_errors() -> None:
    facts = facts_of(CHAT)
    assert (facts.requests, facts.failed, facts.throttled) == (2_000, 40, 20)
    assert "40 of 2,000 calls failed (2.0 %), 20 of them because they were throttled." in sentences(facts)


def test_calls_that_spilled_over() -> None:
    key, calls = group(CHAT, 0, 10)
    report = cost_report(
        usage_sums([(key, calls._replace(spilled=3))], 1), deployments=Deployments([CHAT]), prices=BOOK
    )
    assert report_facts(report).spilled == report.frame["spilled"].sum() == 3
    assert "3 calls spilled over" in sentences(report_facts(report))
    assert "spilled" not in sentences(facts_of(CHAT))


def test_models_that_retire_within_a_year() -> None:
    facts = facts_of(CHAT, replace(CHAT, name="chat-2"))
    (found,) = facts.retirements
    assert (found.model, found.retires, found.deployments) == ("gpt-4o", date(2027, 4, 14), ("chat", "chat-2"))
    assert found.requests == 4_000
    assert "gpt-4o 2024-11-20, to which chat, chat-2 sent 4,000 calls, retires on 2027-04-14." in sentences(facts)
    early = [group(CHAT, -300, 5)]
    sums = usage_sums(early)
    sums = replace(sums, period=(date(2025, 10, 24), date(2025, 10, 25)))
    assert report_facts(cost_report(sums, deployments=Deployments([CHAT]), prices=BOOK)).retirements == ()


def test_hosting_that_costs_more_than_its_calls_is_a_finding() -> None:
    tuned = next(one for one in DEPLOYMENTS if one.name == "tuned")
    assert "Hosting the fine-tuned model of tuned cost 81.60 USD" in sentences(facts_of(tuned, calls=1))


def test_deployments_of_one_name_are_told_from_each_other() -> None:
    tuned = next(one for one in DEPLOYMENTS if one.name == "tuned")
    other = replace(tuned, resource="/subscriptions/s/accounts/aoai-two", fine_tuned="")
    groups = [group(tuned, 0, 1), group(other, 0, 1_000_000)]
    facts = report_facts(cost_report(usage_sums(groups, 2), deployments=Deployments([tuned, other]), prices=BOOK))
    assert "Hosting the fine-tuned model of tuned (aoai-one) cost 81.60 USD" in sentences(facts)
    assert "tuned (aoai-two) costs most of all deployments" in sentences(facts)
    assert "to which tuned (aoai-one), tuned (aoai-two) sent 1,000,001 calls" in sentences(facts)
    assert "tuned (" not in sentences(facts_of(tuned))


def test_a_model_that_has_retired_does_not_retire() -> None:
    facts = facts_of(replace(CHAT, model="babbage-002", version="1"))
    assert "babbage-002 1, to which chat sent 2,000 calls, retired on 2025-01-27." in sentences(facts)
    both = facts_of(replace(CHAT, model="babbage-002", version="1"), replace(CHAT, name="old", version="2024-05-13"))
    assert "retired on 2025-01-27, and 1 more of the models" in sentences(both)


def test_calls_without_a_name_have_none() -> None:
    key, calls = group(CHAT, 0, 10)
    sums = usage_sums([(key._replace(deployment=None), calls)], 1)
    facts = report_facts(cost_report(sums, deployments=Deployments([CHAT]), prices=BOOK))
    assert "to which (none) sent 10 calls" in sentences(facts)


def test_units_whose_calls_tell_no_tokens_are_not_called_idle() -> None:
    ptu = Deployment("aoai", "ptu", "gpt-4.1", "2025-04-14", "GlobalProvisionedManaged", "eastus2", ptu_units=15)
    key, calls = group(ptu, 0, 10)
    silent = calls._replace(requests=100, unmetered=100, usage=Usage({}))
    for groups, share in (([(key, silent)], None), ([(key, silent), (key, calls)], Fraction(16_250, 64_800_000))):
        report = cost_report(usage_sums(groups, 1), deployments=Deployments([ptu]), prices=BOOK)
        facts = report_facts(report)
        assert facts.ptu[0].share == share
        assert "the tokens of 100 of its" in facts.ptu[0].reason
        assert "PTUs serve" not in sentences(facts)


def test_units_of_a_model_that_weighs_long_prompts_otherwise_say_so() -> None:
    sol = Deployment("aoai", "ptu", "gpt-6-sol", None, "GlobalProvisionedManaged", "eastus2", ptu_units=15)
    (found,) = facts_of(sol).ptu
    assert found.share
    assert "weighed alike" in found.source


def test_a_share_is_all_or_nothing_only_where_it_is() -> None:
    found = [percent(Fraction(part, 100_000)) for part in (0, 1, 6_250, 12_350, 99_999, 100_000)]
    assert found == ["0.0 %", "less than 0.1 %", "6.2 %", "12.4 %", "more than 99.9 %", "100.0 %"]


def test_the_last_day_may_grow() -> None:
    assert facts_of(CHAT).provisional_days == (date(2026, 8, 21),)


def test_a_busy_report_has_its_findings_in_order() -> None:
    found = report_facts(cost_report(busy_sums(), deployments=DEPLOYMENTS, prices=BOOK)).findings
    starts = ("ptu costs most", "18.0 % of the prompt", "Tokens that cost", "The tokens of ", "ptu used")
    starts += ("The 15 PTUs of ptu", "Reserved, the PTUs", "Hosting", "3,389 of")
    assert len(found) == 10
    for start, finding in zip(starts, found, strict=False):
        assert finding.sentence.startswith(start)


def test_what_a_model_that_is_in_use_would_cost() -> None:
    other = replace(CHAT, name="other", model="gpt-4.1", version="2025-04-14")
    said = sentences(facts_of(CHAT, other))
    # Two days of 1,000 calls: 1,237 input, 311 cached input and 97 output tokens each.
    now = Decimal(2_000) * (1_237 * Decimal("2.50") + 311 * Decimal("1.25") + 97 * 10) / 1_000_000
    then = Decimal(2_000) * (1_237 * 2 + 311 * Decimal("0.50") + 97 * 8) / 1_000_000
    assert f"of chat on gpt-4o, which cost {now:.2f} USD, would cost {then:.2f} USD at the prices of" in said
    assert "of gpt-4.1 2025-04-14, which is in use" in said
    # One that counts otherwise, or in other bands, is compared with nothing.
    for model, version in (("gpt-4o-mini", "2024-07-18"), ("gpt-5.6-sol", "2026-07-09")):
        assert "is in use" not in sentences(facts_of(CHAT, replace(other, model=model, version=version)))
    assert "is in use" not in sentences(facts_of(CHAT))


def test_a_tuned_model_is_compared_with_none() -> None:
    tuned = replace(CHAT, name="tuned", version="2024-08-06", fine_tuned="ft")
    other = replace(CHAT, name="other", model="gpt-4.1", version="2025-04-14")
    assert "is in use" not in sentences(facts_of(tuned, other))
    assert "is in use" in sentences(facts_of(replace(tuned, fine_tuned=""), other))


def test_tokens_that_nobody_logged_are_not_priced_without_their_units() -> None:
    units = Deployment("aoai", "units", "gpt-4.1", "2025-04-14", "GlobalProvisionedManaged", "eastus2", ptu_units=15)
    key, calls = group(units, 0, 1_000)
    for found in (calls._replace(unmetered=1), calls._replace(usage=Usage({}))):
        sums = usage_sums([(key, found)], 2)
        said = sentences(report_facts(cost_report(sums, deployments=Deployments([units]), prices=BOOK)))
        assert "Reserved, the PTUs of units" in said
        assert "without them" not in said


def test_what_units_would_cost_by_the_token_and_reserved() -> None:
    units = Deployment(
        "aoai", "units", "gpt-4.1", "2025-04-14", "GlobalProvisionedManaged", "eastus2", ptu_units=15,
        active_from=FIRST + timedelta(days=1),
    )  # fmt: skip
    said = sentences(facts_of(units))
    # One of the two days is before the units.
    tokens = Decimal(1_000) * (1_237 * 2 + 311 * Decimal("0.50") + 97 * 8) / 1_000_000
    rates = [
        BOOK.rate(model="gpt-4.1", version="2025-04-14", sku=units.sku, meter=meter, variant=variant, on=FIRST)
        for meter, variant in (("ptu", ""), ("ptu_reservation", "1_month"), ("ptu_reservation", "1_year"))
    ]
    hourly = 15 * 24 * rates[0].amount
    month, year = (15 * rate.amount * 24 / hours for rate, hours in zip(rates[1:], (730, 8_760), strict=True))
    assert f"15 PTUs of units cost {hourly:.2f} USD; the tokens of its calls would cost {tokens:.2f} USD" in said
    assert f"would cost {hourly - month:.2f} USD less for 1 month or {hourly - year:,.2f} USD less for 1 year." in said


def empty_report() -> CostReport:
    return replace(cost_report(usage_sums([]), deployments=Deployments([]), prices=BOOK), period=None)


def test_nothing_stands_out_where_nothing_is() -> None:
    facts = report_facts(empty_report())
    assert facts.findings == facts.ptu == facts.retirements == facts.provisional_days == ()
    assert facts.cached_share is facts.batch_share is None
