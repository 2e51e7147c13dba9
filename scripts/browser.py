"""The journeys of the console in Chromium. Called by scripts/browser, which starts the server.

browser.py TENET LINK WORK [SCREENSHOTS]
"""

import base64
import hmac
import json
import os
import struct
import subprocess
import sys
import time
from pathlib import Path

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect, sync_playwright

TENET, LINK, WORK = sys.argv[1], sys.argv[2], Path(sys.argv[3])
SHOTS = Path(sys.argv[4]) if len(sys.argv) > 4 else None
ADDRESS = LINK.split("/enrol#")[0]
CHROMIUM = os.environ.get("CHROMIUM", "/usr/bin/chromium")
QUIET = ["--no-first-run", "--disable-gpu", "--disable-quic", "--disable-background-networking", "--disable-component-update", "--disable-sync", "--no-sandbox"]
SERIOUS = {"serious", "critical"}


def tenet(*arguments, profile=None):
    """Runs a command; its answer."""
    command = [TENET, *arguments, "--json", *(["--as", profile] if profile else [])]
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ)
    assert done.returncode == 0, f"{command}: {done.stderr}"
    return json.loads(done.stdout)


class Person:
    """Somebody with a browser of their own, and an authenticator in it."""

    def __init__(self, browser, name, **options):
        self.name = name
        self.context = browser.new_context(ignore_https_errors=True, viewport={"width": 1320, "height": 900}, **options)
        self.page = self.context.new_page()
        self.wrong = []
        self.page.on("console", lambda message: self.wrong.append(message.text) if message.type == "error" else None)
        self.page.on("pageerror", lambda error: self.wrong.append(str(error)))
        self.page.on("dialog", lambda dialog: dialog.accept())
        devtools = self.context.new_cdp_session(self.page)
        devtools.send("WebAuthn.enable")
        devtools.send("WebAuthn.addVirtualAuthenticator", {"options": {
            "protocol": "ctap2", "transport": "internal", "hasResidentKey": True, "hasUserVerification": True,
            "isUserVerified": True, "automaticPresenceSimulation": True,
        }})

    def go(self, path):
        answer = self.page.goto(ADDRESS + path)
        assert answer is None or answer.status < 400, f"{path}: {answer.status}"

    def button(self, name):
        self.page.get_by_role("button", name=name, exact=True).click()

    def done(self, words):
        expect(self.page.get_by_role("status")).to_contain_text(words)

    def look(self, path, name=None):
        """A page: nothing serious for axe, nothing in the console, a picture if pictures are wanted."""
        self.go(path)
        found = Axe().run(self.page).response["violations"]
        bad = [f"{one['id']}: {one['help']} {[node['target'] for node in one['nodes']][:3]}" for one in found if one["impact"] in SERIOUS]
        assert not bad, f"{path}: {bad}"
        assert not self.wrong, f"{path}: {self.wrong}"
        if SHOTS and name:
            self.page.screenshot(path=SHOTS / f"{name}.png")

    def join(self, link, heading="Data Protection Policy"):
        self.page.goto(link)
        expect(self.page.get_by_label("Secret of your link")).not_to_have_value("")
        assert "#" not in self.page.url, "the secret stays in no address"
        self.page.get_by_label("Your name").fill(self.name)
        self.button("Join with a passkey")
        expect(self.page.get_by_role("heading", level=1)).to_contain_text(heading)

    def sign_out(self):
        self.button("Sign out")
        expect(self.page.get_by_role("heading", name="Sign in")).to_be_visible()

    def sign_in(self, heading="Data Protection Policy"):
        self.go("/sign-in")
        self.button("Sign in with a passkey")
        expect(self.page.get_by_role("heading", level=1)).to_contain_text(heading)


def invited(by, role):
    """A link for somebody of that role."""
    by.go("/people")
    by.page.locator(f"input[name=role][value={role}]").check()
    by.button("Make a link")
    return by.page.locator(".card p.mono").first.inner_text()


def first_look(ann):
    """A minute after the first start: every sentence has a state, and some are true."""
    ann.go("/")
    sentences = ann.page.locator(".sentence")
    assert sentences.count() > 60, sentences.count()
    assert ann.page.locator(".sentence .state").count() == sentences.count()
    # By itself, as the first checks are made: the page is not loaded again.
    expect(ann.page.locator(".sentence .state.satisfied").nth(5)).to_be_visible(timeout=60_000)


def to_adopted(ann, ben):
    """The wizard, the other's approval, the acknowledgements."""
    ann.go("/")
    ann.page.get_by_role("link", name="Write your policy").click()
    ann.page.get_by_label("The organisation's name").fill("Acme, Inc.")
    ann.button("Put it up for approval")
    expect(ann.page.get_by_role("alert")).to_contain_text("Not put up yet")
    form = ann.page.locator("form.stack")
    for label in form.locator("label:has(input[name^='parameter-'])").all():
        hint = label.locator(".quiet").inner_text()
        label.locator("input").fill(hint.split("uch as ", 1)[1])
    for reason in form.locator("input[name^='reason-']").all():
        reason.fill("On every production host.")
    ann.button("Put it up for approval")
    # What Tenet can see not to be true is refused: there is no witness. So it is said that this does not hold.
    refused = ann.page.locator("fieldset.card:has(span.wrong)")
    expect(refused.first).to_contain_text("no witness is configured")
    for card in refused.all():
        card.get_by_label("It does not").check()
        card.locator("input[name^='reason-']").fill("There is no witness yet.")
    ann.button("Put it up for approval")
    if ann.page.locator(".wrong").count():
        raise AssertionError(ann.page.locator(".wrong").all_inner_texts())
    ann.done("Put up")
    assert ann.page.get_by_role("button", name="Approve version 1").count() == 0, "nobody approves their own"
    ben.go("/versions/1")
    ben.button("Approve version 1")
    ben.done("Approved")
    for person in (ann, ben):
        person.go("/versions/1")
        person.button("I have read it, and will keep to it")
        person.done("Acknowledged")
    ann.go("/")
    expect(ann.page.locator(".lead .pill")).to_have_text("in effect")


def to_evidence(ann):
    """From a sentence to what was seen, in one click."""
    ann.go("/")
    line = ann.page.locator(".sentence:has(.state.satisfied) .margin a[href^='/checks/']").first
    line.click()
    expect(ann.page.locator("#rows tbody tr").first).to_contain_text("so")
    ann.button("Look again now")
    ann.done("being made")
    expect(ann.page.locator("#rows tbody tr")).to_have_count(2, timeout=90_000)


def step_up(ann):
    """What is dangerous asks again, once the proof is old: the database can't make it fresh."""
    ann.go("/accounts")
    ann.page.get_by_label("The customer's name").fill("Globex")
    ann.button("Open the account")
    ann.done("Created")


def by_code(browser):
    """The command line opens the console, once."""
    carl = Person(browser, "Carl")
    address = tenet("console", profile="operator")["address"]
    carl.page.goto(address)
    carl.button("Sign in with the code")
    expect(carl.page.get_by_role("heading", level=1)).to_contain_text("Data Protection Policy")
    again = Person(browser, "Again")
    again.page.goto(address)
    again.button("Sign in with the code")
    expect(again.page.get_by_role("alert")).to_contain_text("did not open the console")
    carl.go("/me")
    carl.page.get_by_label("What you call this device").fill("Work laptop")
    carl.button("Add a passkey")
    carl.done("passkey is added")
    carl.sign_out()
    carl.sign_in()


def app_code(secret, ahead=0):
    """What an authenticator app shows; `ahead`: that many periods from now."""
    key = base64.b32decode(secret.replace(" ", ""))
    digest = hmac.new(key, struct.pack(">Q", int(time.time()) // 30 + ahead), "sha1").digest()
    at = digest[-1] & 15
    return f"{(struct.unpack('>I', digest[at:at + 4])[0] & 0x7FFFFFFF) % 1_000_000:06}"


def by_password(ann, browser):
    """Who has no passkey joins with a password and an app, and is in again with the app's next code."""
    fay = Person(browser, "Fay Moreau")
    page = fay.page
    page.goto(invited(ann, "employee"))
    page.get_by_label("Your name").fill(fay.name)
    page.get_by_text("A password and an app").click()
    secret = page.locator(".code.secret").inner_text()
    page.get_by_label("The name that you sign in by").fill("fay.moreau")
    page.get_by_label("Password", exact=False).fill("fay moreau fay moreau")
    page.get_by_label("The code that the app shows now").fill(app_code(secret))
    fay.button("Join with password and code")
    expect(page.get_by_role("alert")).to_contain_text("easy to guess")
    page.goto(invited(ann, "employee"))
    page.get_by_label("Your name").fill(fay.name)
    page.get_by_text("A password and an app").click()
    secret = page.locator(".code.secret").inner_text()
    page.get_by_label("The name that you sign in by").fill("fay.moreau")
    page.get_by_label("Password", exact=False).fill("seventeen quiet lamps walk north")
    page.get_by_label("The code that the app shows now").fill(app_code(secret))
    fay.button("Join with password and code")
    expect(page.get_by_role("heading", level=1)).to_contain_text("Data Protection Policy")
    fay.look("/me")
    expect(page.locator("main")).to_contain_text("fay.moreau")
    fay.sign_out()
    for password, code in (("wrong", app_code(secret, 1)), ("seventeen quiet lamps walk north", app_code(secret, 1))):
        if page.get_by_label("Name").is_hidden():
            page.get_by_text("Password and code of an app").click()
        page.get_by_label("Name").fill("fay.moreau")
        page.get_by_label("Password", exact=True).fill(password)
        page.get_by_label("Code of the app").fill(code)
        fay.button("Sign in with password and code")
        if password == "wrong":
            expect(page.get_by_role("alert")).to_contain_text("is not right")
    expect(page.get_by_role("heading", level=1)).to_contain_text("Data Protection Policy")


def at_provider(page):
    """Says at the company's provider who one is."""
    name, password = page.locator("input[name=login]"), page.locator("input[name=password]")
    expect(name.or_(password).first).to_be_visible()
    # Asked once more, it knows who it was.
    if name.is_visible():
        name.fill("dana")
        name.press("Enter")
    password.fill("correct horse battery")
    password.press("Enter")


def by_provider(ann, browser):
    """Who works at the company joins by its sign-in, is in again by it, and proves there who it is."""
    gus = Person(browser, "Dana Diaz")
    page = gus.page
    page.goto(invited(ann, "security"))
    page.get_by_label("Your name").fill(gus.name)
    gus.button("Join with Example")
    at_provider(page)
    expect(page.get_by_role("heading", level=1)).to_contain_text("Data Protection Policy")
    assert "code=" not in page.url and "state=" not in page.url, page.url
    gus.look("/me", "me-provider")
    gus.sign_out()
    gus.button("Sign in with Example")
    expect(page.get_by_role("heading", level=1)).to_contain_text("Data Protection Policy")
    gus.go("/prove?next=/me")
    gus.button("Prove it with Example")
    at_provider(page)
    gus.done("Go on with what")
    # Somebody else who comes back with what was meant for another browser gets nothing.
    ivy = Person(browser, "Ivy")
    ivy.page.goto(f"{ADDRESS}/sign-in/back?state=x&code=y")
    expect(ivy.page.get_by_role("alert")).to_contain_text("did not say who you are")


def auditor(ann, browser):
    """Sees everything, changes nothing."""
    eve = Person(browser, "Eve Lind")
    eve.join(invited(ann, "auditor"))
    for path in ("/events", "/people", "/findings", "/reviews", "/keys", "/accounts", "/exceptions", "/audit"):
        eve.look(path)
    # The archive, checked by a program that never saw the server, with a key that came another way.
    eve.go("/audit")
    with eve.page.expect_download() as download:
        eve.button("Download the archive")
    archive = WORK / "evidence.zip"
    download.value.save_as(archive)
    tenet("evidence", "verify", str(archive), "--key", tenet("log", "key", profile="operator")["key"])
    eve.go("/accounts")
    assert eve.page.get_by_role("button", name="Open the account").count() == 0
    ann.go("/people")
    ann.page.locator("tr", has_text="Eve Lind").get_by_role("button").click()
    ann.done("Revoked")
    eve.page.goto(ADDRESS + "/events")
    expect(eve.page.get_by_role("heading", name="Sign in")).to_be_visible()


def customer(ann, browser):
    """Somebody of a customer governs one account: registers an application, sees what happened, and reaches nothing else."""
    ann.go("/accounts")
    ann.page.get_by_role("link", name="Globex").click()
    account = ann.page.url.rsplit("/", 1)[1]
    ann.button("Invite somebody of the customer")
    cora = Person(browser, "Cora Vale")
    cora.join(ann.page.locator(".card p.mono").first.inner_text(), "Globex")
    cora.look("/account", "own-account-empty")
    cora.page.get_by_label("Its name").fill("Till")
    cora.page.locator("input[name='records:read']").check()
    cora.page.locator("input[name='records:write']").check()
    cora.page.get_by_label("Up to which classification").select_option("confidential")
    cora.button("Register the application")
    expect(cora.page.get_by_role("heading", level=1)).to_have_text("Till is registered")
    assert cora.page.locator("#secret").inner_text().startswith("tcs_")
    if SHOTS:
        cora.page.screenshot(path=SHOTS / "own-client.png")
    cora.page.get_by_role("link", name="Go on").click()
    expect(cora.page.locator("table").first).to_contain_text("Till")
    # The log has it within a second or two.
    for _ in range(20):
        cora.go("/account/events?kind=client")
        if "client.create" in cora.page.locator("main").inner_text():
            break
        cora.page.wait_for_timeout(500)
    row = cora.page.locator("tr", has_text="client.create").first
    expect(row).to_contain_text("you")
    for path, name in {"/account": "own-account", "/account/events": "own-events", "/account/deletions": "own-deletions"}.items():
        cora.look(path, name)
    cora.look("/me")
    for path in ("/accounts", f"/accounts/{account}", "/events", "/people", "/keys", "/findings", "/clauses/CD-8", "/versions", "/audit", "/live", "/reviews", "/alarms"):
        answer = cora.context.request.get(ADDRESS + path)
        assert answer.status == 403, f"{path}: {answer.status}"
        assert "Ann Lee" not in answer.text()
    for path in ("/account", "/account/events", "/account/deletions"):
        answer = ann.context.request.get(ADDRESS + path)
        assert answer.status == 403, f"{path}: {answer.status}"
    cora.go("/account")
    cora.button("Revoke Till")
    cora.done("Revoked")
    cora.sign_out()
    cora.sign_in("Globex")
    # At a terminal, and from there into the console.
    link = tenet("account", "invite", account, "--days", "30", profile="operator")["link"]
    tenet("enrol", link, "--name", "Dora Vale", "--save", "customer")
    dora = Person(browser, "Dora Vale")
    dora.page.goto(tenet("console", profile="customer")["address"])
    dora.button("Sign in with the code")
    expect(dora.page.get_by_role("heading", level=1)).to_have_text("Globex")
    dora.go("/me")
    dora.page.get_by_label("What you call this device").fill("Phone")
    dora.button("Add a passkey")
    dora.done("passkey is added")
    dora.sign_out()
    dora.sign_in("Globex")
    assert [one["name"] for one in tenet("account", "people", account, profile="operator")] == ["Cora Vale", "Dora Vale"]
    ann.look(f"/accounts/{account}", "account")
    ann.page.get_by_role("button", name="Revoke Cora Vale").click()
    ann.done("Revoked")
    cora.page.goto(ADDRESS + "/account")
    expect(cora.page.get_by_role("heading", name="Sign in")).to_be_visible()
    dark = Person(browser, "Dark", color_scheme="dark")
    dark.look("/sign-in")
    dark.context.add_cookies(dora.context.cookies())
    for path, name in {"/account": "own-account", "/account/events": "own-events", "/account/deletions": "own-deletions"}.items():
        dark.look(path, f"{name}-dark")


def sessions(ann, ben):
    """An administrator ends somebody's sessions; who was in one signs in again."""
    ben.go("/me")
    expect(ben.page.get_by_role("heading", name="Your other sessions")).to_be_visible()
    ann.go("/people")
    ann.page.get_by_role("link", name="Ben Osei", exact=True).click()
    expect(ann.page.get_by_role("heading", level=1)).to_contain_text("Ben Osei")
    assert ben.page.get_by_role("button", name="End sessions").count() == 0
    ann.button("End sessions")
    ann.done("Every session is ended")
    ben.page.goto(ADDRESS + "/events")
    expect(ben.page.get_by_role("heading", name="Sign in")).to_be_visible()
    ben.sign_in()


def linked(person, path, start):
    """Where the first link of a page leads that starts like this."""
    person.go(path)
    return person.page.locator(f"main a[href^='{start}']").first.get_attribute("href")


def forged(ann):
    """A form without the session's token does nothing."""
    answer = ann.context.request.post(f"{ADDRESS}/accounts", form={"name": "Forged"}, headers={"referer": ADDRESS + "/accounts"})
    assert answer.status == 400, answer.status
    answer = ann.context.request.post(f"{ADDRESS}/accounts", form={"name": "Forged"}, headers={"sec-fetch-site": "cross-site"})
    assert answer.status == 400, answer.status
    ann.go("/accounts")
    assert "Forged" not in ann.page.locator("main").inner_text()


def main():
    if SHOTS:
        SHOTS.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        ann = Person(browser, "Ann Lee")
        ann.join(LINK)
        first_look(ann)
        ben = Person(browser, "Ben Osei")
        ben.join(invited(ann, "security"))
        tenet("enrol", invited(ann, "administrator"), "--name", "Carl Diaz", "--save", "operator")
        to_adopted(ann, ben)
        to_evidence(ann)
        step_up(ann)
        by_code(browser)
        by_password(ann, browser)
        by_provider(ann, browser)
        auditor(ann, browser)
        customer(ann, browser)
        sessions(ann, ben)
        forged(ann)
        ann.sign_out()
        ann.sign_in()
        pages = {
            "/": "policy", "/clauses/CD-8": "clause", "/versions": "versions", "/versions/1": "version", "/setup": "setup",
            "/findings": "findings", "/exceptions": "exceptions", "/events": "events", "/reviews": "reviews",
            "/alarms": "alarms", "/audit": "audit", "/deletions": "deletions", "/checks/log-keeps-up": "check",
            "/accounts": "accounts", linked(ann, "/accounts", "/accounts/acc_"): "account",
            linked(ann, "/people", "/people/opr_"): "person", "/keys": "keys", "/people": "people", "/me": "me",
            "/me/password": "password",
        }
        for path, name in pages.items():
            ann.look(path, name)
        dark = Person(browser, "Dark", color_scheme="dark")
        dark.look("/sign-in", "sign-in-dark")
        dark.look("/enrol", "enrol-dark")
        dark.context.add_cookies(ann.context.cookies())
        for path, name in pages.items():
            dark.look(path, f"{name}-dark")
        browser.close()
    print("every journey arrived")


main()
