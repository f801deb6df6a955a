// Somebody who may pull some repositories sees these, and why nothing else is allowed.
import assert from "node:assert/strict";
import fs from "node:fs";
import { examine, pages } from "../browser.mjs";
import { button, follow, open, read, shows } from "./steps.mjs";

export default async ({ url, home, gun, tag, secret, request, issued }, { browser, page: opened, found }) => {
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
