// Somebody comes for the first time with a certificate that was imported into the browser.
import assert from "node:assert/strict";
import { open, shows } from "./steps.mjs";

export default async ({ url, home, name, serial }, { browser, page: opened }) => {
  const page = await opened(await browser(home));
  await open(page, `${url}/access#certificate`);
  await page.locator(".me", { hasText: name }).waitFor();
  await shows(page, "Your certificate");
  assert.equal((await page.locator("#certificate dd").nth(2).innerText()).toUpperCase().replaceAll(":", ""), serial);
};
