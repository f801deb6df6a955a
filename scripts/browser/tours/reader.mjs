// Somebody who may pull some repositories sees these, and why nothing else is allowed.
import assert from "node:assert/strict";
import fs from "node:fs";
import { examine, pages } from "../browser.mjs";
import { button, follow, open, read, shows } from "./steps.mjs";

// Has a key made by the browser, a certificate issued for it, and saves both files.
const madeHere = async (page, { url, made }, { browser, page: opened, found }, home) => {
  await open(page, `${url}/access`);
  await follow(page, page.getByRole("link", { name: "Make both in this browser" }));
  const make = button(page, "Make a key and a certificate");
  for (const finding of await examine(page)) found(`before a key is made: ${finding}`);
  // What is refused is said, and can be tried again.
  const refusal = { errors: [{ code: "X", message: "<b>not today</b>" }] };
  await page.route("**/api/v0/bundle", (route) => route.fulfill({ status: 409, json: refusal }));
  await make.click();
  await shows(page, "Nothing was issued:", "<b>not today</b>");
  await page.unroute("**/api/v0/bundle");
  const [sent] = await Promise.all([page.waitForRequest("**/api/v0/bundle"), make.click()]);
  await shows(page, "Here it is", "Save the file for browsers");
  // Only the request for a certificate goes out, of all that the page made.
  assert.deepEqual(Object.keys(sent.postDataJSON()), ["request"]);
  assert.match(sent.postDataJSON().request, /^-----BEGIN CERTIFICATE REQUEST-----\n[\w+/=\n]{200,600}-----END CERTIFICATE REQUEST-----\n$/);
  assert.equal(await page.locator("#failed").isVisible(), false);
  for (const finding of await examine(page)) found(`a key was made: ${finding}`);
  const save = async (id, file) => {
    const [download] = await Promise.all([page.waitForEvent("download"), page.locator(id).click()]);
    assert.match(download.suggestedFilename(), /^bob-\d{4}-\d\d-\d\d\.(p12|pem)$/);
    await download.saveAs(file);
  };
  await save("#p12", made.p12);
  await save("#pem", made.pem);
  fs.writeFileSync(made.password, await page.locator("#password").innerText());

  // Where a browser does not do this, the page says so and names the other ways.
  const chromium = await browser(home);
  const insecure = await opened(chromium);
  await insecure.addInitScript(() => Object.defineProperty(globalThis, "isSecureContext", { value: false }));
  const plain = await opened(chromium, { javaScriptEnabled: false });
  for (const [shown, words] of [[insecure, "only for pages that came over HTTPS"], [plain, "Without JavaScript a browser makes no key."]]) {
    await open(shown, `${url}/access/certificate`);
    await shows(shown, words);
    assert.equal(await button(shown, "Make a key and a certificate").count(), 0, words);
  }
};

export default async (setup, tools) => {
  const { url, home, gun, tag, secret, request, issued } = setup;
  const { browser, page: opened, found } = tools;
  const page = await opened(await browser(home));
  await read(page, `${url}/repositories`);
  await shows(page, "2 of 2 repositories");
  for (const [name, address] of Object.entries(pages(gun, tag))) {
    await open(page, url + address, name === "missing" ? 404 : 200);
    const seen = await page.content();
    for (const hidden of ["secret", "For administrators", "/access/change", "name=\"as\""]) {
      assert.ok(!seen.includes(hidden), `${hidden} on the page ${name}`);
    }
  }
  for (const [name, address] of Object.entries(pages(secret)).filter(([, address]) => address.startsWith("/repository"))) {
    if (address.startsWith("/repositories")) continue;
    const { status } = await page.goto(url + address).then((response) => ({ status: response.status() }));
    const other = await page.goto(url + pages("reg.example/none/none")[name]);
    assert.deepEqual([status, other.status()], [403, 403], name);
  }

  await open(page, `${url}/access`);
  await page.getByLabel("Repository").fill(gun);
  await page.getByLabel("Action").fill("pull");
  await follow(page, button(page, "Ask"));
  await shows(page, "Yes.", "The rule readers allows it.");
  await page.getByLabel("Action").fill("delete");
  await follow(page, button(page, "Ask"));
  await shows(page, "No.", /rule keep denies it/);
  await page.getByLabel("Repository").fill(secret);
  await page.getByLabel("Action").fill("pull");
  await follow(page, button(page, "Ask"));
  await shows(page, "No.", "bob may not pull");

  // The key stays with whoever made it.
  await page.getByLabel("Certificate request in PEM").fill("hello");
  await follow(page, button(page, "Issue a certificate"));
  await shows(page, "Nothing was issued:");
  await page.getByLabel("Certificate request in PEM").fill(request);
  await follow(page, button(page, "Issue a certificate"));
  await shows(page, "Here it is.");
  fs.writeFileSync(issued, await page.getByRole("textbox", { name: "Your certificate" }).inputValue());
  for (const finding of await examine(page)) found(`issued: ${finding}`);

  await madeHere(page, setup, tools, home);

  for (const address of ["/access/account", "/access/account?name=alice", "/access/confirm?do=deny&principal=alice"]) {
    await open(page, url + address, 403);
    await shows(page, "bob may not admin", "Ask whoever runs this server");
  }
  for (const finding of await examine(page)) found(`denied: ${finding}`);
  // Nor does a form that bob writes himself.
  await page.setContent(`<form method="post" action="${url}/access/change"><input name="do" value="reload"><button>Go</button></form>`);
  assert.equal(await follow(page, button(page, "Go")), 403);
  await open(page, `${url}/audit`);
  await shows(page, "bob may not admin");
};
