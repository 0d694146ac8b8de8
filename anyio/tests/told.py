"""What a test program in Python says: a line for each thing that was shown or was not, and the sum at its end."""
import sys
import traceback

failed, skipped = [], []


def check(what, truth, detail=''):
    print(f'{"ok   " if truth else "FAIL "} {what}' + (f': {str(detail)[:2000]}' if detail != '' and not truth else ''), flush=True)
    if not truth:
        failed.append(what)
    return bool(truth)


def equal(what, got, want):
    return check(what, got == want, f'got {got!r}, wanted {want!r}')


def skip(why):
    print(f'skip  {why}')
    skipped.append(why)


def run_all(tests):
    """Runs each function, in whose place an exception fails, and ends the program: 1, 77 when only something was skipped, or 0."""
    for test in tests:
        print(f'-- {test.__name__}')
        try:
            test()
        except Exception:
            check(test.__name__, False, traceback.format_exc())
    print(f'{len(failed)} failed, {len(skipped)} skipped')
    sys.exit(1 if failed else 77 if skipped else 0)
