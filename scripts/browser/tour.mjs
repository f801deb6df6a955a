// Goes through the pages of a server as people do, in Chromium, and says what is not as it should be.
// Usage: node tour.mjs NAME SETUP.json, with a tour of tours/ and what it has to know. tests/tests/pages_browser.rs starts the server.
import fs from "node:fs";
import { launch, watch } from "./browser.mjs";

const [name, file] = process.argv.slice(2);
const setup = JSON.parse(fs.readFileSync(file, "utf8"));
const { default: tour } = await import(`./tours/${name}.mjs`);

// Longer than any tour takes; what a page is waited for at the most is less.
setTimeout(() => { console.error("the tour takes too long"); process.exit(1); }, 300_000).unref();

let findings = 0;
const found = (what) => { findings += 1; console.error(what); };
const browsers = [];
const tools = {
  found,
  // A browser with somebody's certificates.
  async browser(home) {
    const browser = await launch(home);
    browsers.push(browser);
    return browser;
  },
  // A page of it that is watched.
  async page(browser, options = {}) {
    const context = await browser.newContext(options);
    context.setDefaultTimeout(60_000);
    const page = await context.newPage();
    watch(page, setup.url, found);
    return page;
  },
};
try {
  await tour(setup, tools);
} catch (error) {
  found(error.stack);
}
for (const browser of browsers) {
  for (const page of browser.contexts().flatMap((context) => context.pages())) {
    if (findings > 0) console.error(`open at the end: ${page.url()}\n${await page.locator("body").innerText().catch(String)}`);
  }
  await browser.close();
}
console.log(findings === 0 ? "nothing found" : `${findings} findings`);
process.exit(findings === 0 ? 0 : 1);
