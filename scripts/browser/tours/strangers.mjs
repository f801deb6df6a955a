// Who comes without a certificate that is good here is told why, and how to get in.
import assert from "node:assert/strict";
import fs from "node:fs";
import { examine, pages } from "../browser.mjs";
import { button, follow, link, open, shows } from "./steps.mjs";

const hows = ["Firefox, on every system", "macOS: Safari, Chrome, Edge", "Windows: Chrome, Edge", "Linux: Chrome, Chromium"];

const without = async ({ url, gun }, page, found) => {
  for (const [name, address] of Object.entries(pages(gun))) {
    await open(page, url + address, 401);
    const title = await page.getByRole("heading", { level: 1 }).innerText();
    assert.equal(title, "Your browser showed no certificate", name);
    assert.equal(page.url(), url + address, name);
  }
  await shows(page, ...hows, "CN=Test CA", "offer none that has ended");
  for (const finding of await examine(page)) found(`without a certificate: ${finding}`);
};

// Chromium shows no certificate that has ended. Playwright does, which makes these connections for it.
const shown = async ({ url, files, password }, chromium, opened, which, title) => {
  const clientCertificates = [{ origin: url, pfxPath: files[which], passphrase: password }];
  // Playwright trusts the system's CAs alone.
  const page = await opened(chromium, { clientCertificates, ignoreHTTPSErrors: true });
  await open(page, `${url}/repositories`, 401);
  await shows(page, title, "What your browser showed", ...hows);
};

// Denied, and then on a revocation list, while a page is open.
const denied = async ({ url, homes, list }, { browser, page: opened }) => {
  const admin = await opened(await browser(homes.alice));
  const page = await opened(await browser(homes.alice2));
  await open(page, `${url}/`);
  await shows(page, "CN=alice2");
  await open(admin, `${url}/access/confirm?do=deny&principal=alice2`);
  await admin.getByLabel("Type alice2").fill("alice2");
  await follow(admin, button(admin, "Deny it"));
  assert.equal(await follow(page, page.getByRole("link", { name: /^Repositories/ }).first()), 401);
  await shows(page, "You are barred from this server", "Whoever runs it has withdrawn your access.");
  await follow(admin, button(admin, "Undo principal alice2"));
  assert.equal((await page.reload()).status(), 200);
  fs.copyFileSync(list.next, list.current);
  await follow(admin, button(admin, "Reload now"));
  await shows(admin, "Generation 2");
  assert.equal(await follow(page, page.getByRole("link", { name: /^Expiry/ }).first()), 401);
  await shows(page, "Your certificate does not count any more", "CN=alice2");
};

export default async (setup, tools) => {
  const nobody = await tools.browser(setup.homes.nobody);
  await without(setup, await tools.page(nobody), tools.found);
  const [none, ended, rejected] = ["Your browser showed no certificate", "Your certificate has ended", "Your certificate is not accepted here"];
  for (const [which, title] of [["expired", ended], ["stranger", rejected]]) {
    await shown(setup, nobody, tools.page, which, title);
  }
  for (const [who, title] of [["expired", none], ["stranger", rejected], ["foreign", rejected]]) {
    const page = await tools.page(await tools.browser(setup.homes[who]));
    await open(page, `${setup.url}/`, 401);
    await shows(page, title);
  }
  await denied(setup, tools);
};
