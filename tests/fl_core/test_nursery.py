import subprocess
import sys


def says(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=120).stdout.strip()


def test_what_is_imported_for_good_is_never_looked_through_for_garbage_and_what_comes_after_is() -> None:
    code = (
        "import gc, sys\nfrom fl_core.nursery import import_for_good\nimport_for_good(['colorsys', 'no_such_module'])\n"
        "print('paddle' in sys.modules, 'colorsys' in sys.modules, gc.isenabled(), gc.get_freeze_count() > 10 * len(gc.get_objects()))"
    )
    assert says(code) == "True True True True"


def test_a_command_starts_the_nursery_before_it_imports_anything_large() -> None:
    assert says("import sys, fl_core.pool\nprint(sorted({'numpy', 'cloudpickle', 'pydantic', 'paddle'} & set(sys.modules)))") == "[]"
