"""Whether a policy's export is OSCAL: compliance-trestle's models of the complete schema read it, and say what of it they read.

    oscal.py fill DIRECTORY    fill in what `tenet policy init` leaves, by what stands beside it
    oscal.py check DIRECTORY   catalog.json and profile.json, read strictly
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


def check(directory: pathlib.Path) -> None:
    import trestle.oscal
    from trestle.oscal.catalog import Catalog
    from trestle.oscal.profile import Profile

    catalog = Catalog.oscal_read(directory / "catalog.json")
    profile = Profile.oscal_read(directory / "profile.json")
    version = trestle.oscal.OSCAL_VERSION
    controls = [control.id for group in catalog.groups for control in group.controls]
    chosen = profile.imports[0].include_controls[0].with_ids
    names = [getattr(one, "root", one) for one in chosen]
    assert len(controls) == len(set(controls)) > 0, "the catalog has its controls, none twice"
    assert names and set(names) <= set(controls), "the profile chooses what the catalog has"
    print(f"OSCAL {version}: a catalog of {len(controls)} controls, a profile that chooses {len(names)}")


{"fill": fill, "check": check}[sys.argv[1]](pathlib.Path(sys.argv[2]))
