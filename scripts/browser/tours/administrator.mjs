// Somebody who may do everything looks at every page, and changes who has access and back.
import assert from "node:assert/strict";
import { examine, pages } from "../browser.mjs";
import { button, follow, link, open, read, shows } from "./steps.mjs";

// Every page, in one colour scheme and width of the four: look.mjs goes through all of them.
const everyPage = async (page, { url, gun, tag }, found) => {
  const shapes = [["light", 1280], ["dark", 390], ["dark", 1280], ["light", 390]];
  for (const [index, [name, address]] of Object.entries(pages(gun, tag)).entries()) {
    const [colorScheme, width] = shapes[index % shapes.length];
    await page.emulateMedia({ colorScheme });
    await page.setViewportSize({ width, height: 900 });
    await open(page, url + address, name === "missing" ? 404 : 200);
    for (const finding of await examine(page)) found(`${name} ${colorScheme} ${width}: ${finding}`);
    await page.locator(".me", { hasText: "alice" }).waitFor();
  }
  await page.emulateMedia({ colorScheme: "light" });
  await page.setViewportSize({ width: 1280, height: 900 });
};

const withKeyboardAndScript = async (page, { url, gun }) => {
  await open(page, `${url}/repository/commands?gun=${encodeURIComponent(gun)}`);
  await page.keyboard.press("Tab");
  await page.keyboard.press("Enter");
  assert.ok(page.url().endsWith("#main"), page.url());
  await page.context().grantPermissions(["clipboard-read", "clipboard-write"], { origin: url });
  const copy = page.locator("button[data-copy]").first();
  await copy.click();
  await shows(page, "copied");
  assert.equal(await page.evaluate(() => navigator.clipboard.readText()), await copy.getAttribute("data-copy"));
  // Clicked twice, the button has its own word again after a while.
  const timed = await page.context().newPage();
  await timed.clock.install();
  await open(timed, page.url());
  const twice = timed.locator("button[data-copy]").first();
  for (const _ of [1, 2]) {
    await twice.click();
    await timed.evaluate(() => navigator.clipboard.readText());
    await shows(timed, "copied");
  }
  await timed.clock.fastForward(10_000);
  assert.equal(await twice.innerText(), "copy");
  await timed.close();
};

const rows = (page) => page.locator("tbody th a");

const repositories = async (page, { url, gun, count }) => {
  await read(page, `${url}/repositories`);
  await shows(page, `50 of ${count} repositories`);
  assert.equal(await rows(page).count(), 50);
  await page.getByRole("link", { name: /^Next/ }).click();
  await page.waitForURL(/after=/);
  assert.equal(await rows(page).count(), count - 50);
  await shows(page, "secret/");
  await page.getByRole("link", { name: "First page" }).click();
  await page.waitForURL((address) => !address.search.includes("after="));

  await page.getByLabel("Name contains").fill("app0");
  await button(page, "Show").click();
  await page.waitForURL(/q=app0/);
  await shows(page, `10 of ${count} repositories`);
  await page.getByRole("link", { name: /^Last published/ }).click();
  await page.waitForURL(/sort=published/);
  assert.equal(await rows(page).first().innerText(), "reg.example/open/app09");
  await page.getByLabel("Order").selectOption("name");
  await button(page, "Show").click();
  await page.waitForURL((address) => address.searchParams.get("sort") !== "published");
  assert.equal(await rows(page).first().innerText(), gun);

  await page.getByLabel("Name contains").fill("");
  await page.getByLabel("Namespace").selectOption("reg.example/secret");
  await button(page, "Show").click();
  await page.waitForURL(/ns=reg/);
  await shows(page, `1 of ${count} repositories`);
  await page.getByLabel("State").selectOption("bad");
  await button(page, "Show").click();
  await shows(page, "Nothing here");
  await page.getByRole("link", { name: `Show all ${count}` }).click();
  await shows(page, `50 of ${count} repositories`);

  // From the list to a tag, by links alone.
  await page.getByRole("link", { name: gun }).click();
  await page.waitForURL(/\/repository\?/);
  await page.locator("tbody th a").first().click();
  await page.waitForURL(/\/repository\/tag\?/);
  await shows(page, "sha256:");
};

// Names of others that hold markup are text. What they would do shows as a dialog, or as an error of the page's own policy.
const hostileNames = async (page, { url, hostile }, found) => {
  const dialog = (shown) => { found(`a dialog: ${shown.message()}`); shown.dismiss(); };
  page.on("dialog", dialog);
  for (const [name, address] of Object.entries(pages(hostile.gun, hostile.tag))) {
    await open(page, url + address, name === "missing" ? 404 : 200);
    assert.equal(await page.locator("main script, main img").count(), 0, name);
    assert.ok(!(await page.locator("main").innerText()).includes("\u202e"), name);
  }
  await open(page, `${url}/repository?gun=${encodeURIComponent(hostile.gun)}`);
  await shows(page, "⟨U+202E⟩");
  page.off("dialog", dialog);
};

// Sends the form of the page that asks whether something is meant, first without the name that it wants typed, then with another one.
const confirm = async (page, name, reason, what) => {
  const give = async (typed) => {
    await page.getByLabel(`Type ${name}`).fill(typed);
    if (reason) await page.getByLabel("Why, for the audit log").fill(reason);
  };
  await button(page, what).click();
  assert.equal(await page.locator("input[name=sure]:invalid").count(), 1);
  await give("somebody");
  assert.equal(await follow(page, button(page, what)), 409);
  await shows(page, `Nothing was changed: type ${name} to say that you mean it.`);
  await give(name);
  assert.equal(await follow(page, button(page, what)), 200);
};

const accounts = async (page, { url, pem }, found) => {
  await open(page, `${url}/access`);
  await follow(page, link(page, "Add an account"));
  await page.getByLabel("Name", { exact: true }).fill("carol");
  await page.getByLabel("Full name").fill("Carol <C.>");
  await page.getByLabel("Groups, with commas between them").fill("ops, dev");
  await follow(page, button(page, "Add the account"));
  await shows(page, "Active", "It has no keys");
  assert.equal(await page.getByLabel("Full name").inputValue(), "Carol <C.>");
  assert.equal(await page.getByLabel("Groups, with commas between them").inputValue(), "dev, ops");

  await page.getByText("Register a key", { exact: true }).click();
  await page.getByLabel("A certificate of it, or the public key, in PEM").fill(pem);
  await page.getByLabel("Label").fill("laptop");
  await page.getByLabel("Note, such as where it is held").fill("held offline");
  await follow(page, button(page, "Register the key"));
  await shows(page, "laptop", "held offline");
  await page.getByText("Change the note of laptop").click();
  for (const finding of await examine(page)) found(`a key's note: ${finding}`);
  await page.getByLabel("Its note").fill("in the safe, <b>not</b> here");
  await follow(page, button(page, "Note it so"));
  await shows(page, "laptop", "in the safe, <b>not</b> here");
  // Whose certificate it is, is that of the account now.
  await open(page, `${url}/access`);
  await page.getByLabel("Certificate in PEM, its chain after it if there is one").fill(pem);
  await follow(page, button(page, "Say who it is"));
  await shows(page, "CN=employee-4711 is carol");

  await follow(page, link(page, "carol"));
  await follow(page, link(page, "Disable it"));
  await shows(page, "Disable carol?", "What was signed stays good.");
  await confirm(page, "carol", "has left", "Disable it");
  await shows(page, "Disabled since", "has left");
  await follow(page, button(page, "Enable it"));
  await shows(page, "Active");

  await follow(page, link(page, "Remove laptop"));
  await shows(page, "Remove a key of carol?");
  await follow(page, link(page, "Leave it as it is"));
  await shows(page, "laptop");
  await follow(page, link(page, "Remove laptop"));
  await follow(page, button(page, "Remove the key"));
  await shows(page, "It has no keys");
  await follow(page, link(page, "Remove it"));
  await confirm(page, "carol", null, "Remove it");
  await shows(page, "There are no accounts.");
};

const denials = async (page, { url }) => {
  await open(page, `${url}/access`);
  await page.getByText("Deny somebody").click();
  await page.getByLabel("Name", { exact: true }).fill("dave");
  await follow(page, button(page, "Deny a name"));
  await shows(page, "Deny principal dave?");
  await confirm(page, "dave", "lost laptop", "Deny it");
  await shows(page, "lost laptop");
  await follow(page, button(page, "Undo principal dave"));
  await shows(page, "Nobody is denied.");

  // What locks out whoever does it is said before, and has to be meant twice.
  await open(page, `${url}/access/confirm?do=deny&principal=alice`);
  await shows(page, "You would lock yourself out");
  await page.getByLabel("Type alice").fill("alice");
  await button(page, "Deny it").click();
  assert.equal(await page.locator("input[name=confirm]:invalid").count(), 1);
  await follow(page, link(page, "Leave it as it is"));
  await shows(page, "Nobody is denied.");
};

const reload = async (page, { url, gun }) => {
  const commands = `${url}/repository/commands?gun=${encodeURIComponent(gun)}`;
  await open(page, commands);
  await follow(page, button(page, "Renew now"));
  await shows(page, "Nothing was renewed: nothing that this server signs ends soon.");
  await open(page, `${url}/access`);
  await shows(page, "Generation 1");
  // Forms that were shown before a reload are shown once more.
  const [adding, renewing] = [await page.context().newPage(), await page.context().newPage()];
  await open(adding, `${url}/access/account`);
  await adding.getByLabel("Name", { exact: true }).fill("early");
  await open(renewing, commands);
  await follow(page, button(page, "Reload now"));
  await shows(page, "Generation 2");
  for (const old of [adding, renewing]) {
    assert.equal(await follow(old, old.locator("main form").last().getByRole("button")), 409);
    await shows(old, "look at it once more");
  }
  await follow(adding, button(adding, "Change it so"));
  await follow(adding, link(adding, "Remove it"));
  await confirm(adding, "early", null, "Remove it");
  await shows(renewing, `Renew ${gun}?`);
  await follow(renewing, button(renewing, "Renew now"));
  await shows(renewing, "Nothing was renewed");
  for (const old of [adding, renewing]) await old.close();
};

const audit = async (page, { url }) => {
  await open(page, `${url}/audit`);
  await page.getByLabel("Who").fill("alice");
  await button(page, "Show").click();
  await page.waitForURL(/who=alice/);
  await shows(page, "account.disable", "has left", "deny.add", "lost laptop");
  await follow(page, link(page, "Follow all chains from their beginning"));
  await shows(page, "All chains are whole.");
  await page.getByLabel("From").fill("2020-01-01");
  await page.getByLabel("To", { exact: true }).fill("2020-01-02");
  await button(page, "Show").click();
  await shows(page, "No change that you may see fits this search.");
  const download = page.waitForEvent("download");
  await follow(page, link(page, "Show all"));
  await link(page, "Download these as JSON lines").click();
  assert.match((await download).url(), /audit\.jsonl/);
};

// The same without JavaScript: a page is opened, a search and a change are made and undone.
const withoutScript = async (page, { url, count }) => {
  await read(page, `${url}/repositories`);
  assert.equal(await page.locator("button[data-copy]").and(page.locator(":visible")).count(), 0);
  await page.getByLabel("Name contains").fill("secret");
  await button(page, "Show").click();
  await shows(page, `1 of ${count} repositories`);
  await open(page, `${url}/access/account`);
  await page.getByLabel("Name", { exact: true }).fill("plain");
  await follow(page, button(page, "Add the account"));
  await shows(page, "Active");
  await follow(page, link(page, "Remove it"));
  await confirm(page, "plain", null, "Remove it");
  await shows(page, "There are no accounts.");
};

export default async (setup, { browser, page: opened, found }) => {
  const chromium = await browser(setup.home);
  const page = await opened(chromium);
  await everyPage(page, setup, found);
  await withKeyboardAndScript(page, setup);
  await repositories(page, setup);
  await hostileNames(page, setup, found);
  await accounts(page, setup, found);
  await denials(page, setup);
  await reload(page, setup);
  await audit(page, setup);
  await withoutScript(await opened(chromium, { javaScriptEnabled: false }), setup);
};
