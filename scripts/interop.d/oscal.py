"""Whether a policy's export is OSCAL: compliance-trestle's models of the complete schema read it, and say what of it they read.

    oscal.py fill DIRECTORY    fill in what `tenet policy init` leaves, by what stands beside it
    oscal.py check DIRECTORY   catalog.json and profile.json, and each other model that lies beside them, read strictly
"""

import pathlib
import sys


def fill(directory: pathlib.Path) -> None:
    parameters = directory / "parameters.toml"
    lines = []
    for line in parameters.read_text().splitlines():
        if line.startswith("# Such as: ") and not line.startswith("# Such as: company"):
            lines.append(line.removeprefix("# Such as: "))
        elif not line.startswith("#") and "TODO" not in line:
            lines.append(line)
    parameters.write_text("\n".join(lines) + "\n")
    decisions = directory / "decisions.toml"
    text = decisions.read_text().replace('reason = "TODO"', 'reason = "on every production system"')
    decisions.write_text(text.replace('by = "TODO"', 'by = "Sam"').replace('date = "TODO"', 'date = "2026-11-20"'))


def read(directory: pathlib.Path, name: str, kind: type) -> object | None:
    path = directory / name
    if not path.exists():
        return None
    model = kind.oscal_read(path)
    assert model is not None, f"{name} was not read"
    return model


def check(directory: pathlib.Path) -> None:
    import trestle.oscal
    from trestle.oscal.assessment_plan import AssessmentPlan
    from trestle.oscal.assessment_results import AssessmentResults
    from trestle.oscal.catalog import Catalog
    from trestle.oscal.component import ComponentDefinition
    from trestle.oscal.poam import PlanOfActionAndMilestones
    from trestle.oscal.profile import Profile
    from trestle.oscal.ssp import SystemSecurityPlan

    catalog = Catalog.oscal_read(directory / "catalog.json")
    profile = Profile.oscal_read(directory / "profile.json")
    version = trestle.oscal.OSCAL_VERSION
    controls = [control.id for group in catalog.groups for control in group.controls]
    chosen = profile.imports[0].include_controls[0].with_ids
    names = [getattr(one, "root", one) for one in chosen]
    assert len(controls) == len(set(controls)) > 0, "the catalog has its controls, none twice"
    assert names and set(names) <= set(controls), "the profile chooses what the catalog has"
    print(f"OSCAL {version}: a catalog of {len(controls)} controls, a profile that chooses {len(names)}")

    components = read(directory, "component-definition.json", ComponentDefinition)
    if components:
        for implementation in components.components[0].control_implementations or []:
            held = {one.control_id for one in implementation.implemented_requirements}
            assert held <= set(controls), "what is implemented is in the catalog"
            print(f"a component that implements {len(held)} controls")
    ssp = read(directory, "ssp.json", SystemSecurityPlan)
    if ssp:
        requirements = ssp.control_implementation.implemented_requirements
        assert [one.control_id for one in requirements] == names, "the plan has what the profile chooses"
        print(f"a system security plan of {len(requirements)} requirements")
    plan = read(directory, "assessment-plan.json", AssessmentPlan)
    if plan:
        activities = {one.uuid for one in plan.local_definitions.activities} if plan.local_definitions else set()
        tasks = [one for task in plan.tasks or [] for one in task.associated_activities]
        assert {one.activity_uuid for one in tasks} == activities, "each activity has its task"
        print(f"an assessment plan of {len(activities)} activities")
    results = read(directory, "assessment-results.json", AssessmentResults)
    if results:
        result = results.results[0]
        seen = {one.uuid for one in result.observations or []}
        related = [one for finding in result.findings for one in finding.related_observations or []]
        assert {one.observation_uuid for one in related} <= seen, "findings rest on observations that are there"
        print(f"results of {len(result.findings)} findings and {len(seen)} observations")
    poam = read(directory, "poam.json", PlanOfActionAndMilestones)
    if poam:
        print(f"a plan of action of {len(poam.poam_items)} items")


{"fill": fill, "check": check}[sys.argv[1]](pathlib.Path(sys.argv[2]))
