// Opens every page in Chromium, in both colour schemes and two widths: takes a picture, runs axe-core, and finds pages that scroll
// sideways, load something from elsewhere, or break their own Content-Security-Policy.
// Usage: node look.mjs URL GUN DIRECTORY. The certificate comes from the NSS store of $HOME.
import fs from "node:fs";
import path from "node:path";
import { createRequire } from "node:module";
import { chromium } from "playwright-core";

const [url, gun, directory] = process.argv.slice(2);
const axe = fs.readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const repository = `?gun=${encodeURIComponent(gun)}`;
const pages = {
  overview: "/",
  repositories: "/repositories",
  "repositories-empty": "/repositories?q=nothing-like-this",
  tags: `/repository${repository}`,
  tag: `/repository/tag${repository}&tag=1.0`,
  signers: `/repository/signers${repository}`,
  root: `/repository/root${repository}`,
  activity: `/repository/activity${repository}&from=1&to=3`,
  documents: `/repository/documents${repository}&role=targets`,
  commands: `/repository/commands${repository}`,
  expiry: "/expiry?days=3650",
  access: `/access?action=delete&gun=${encodeURIComponent(gun)}`,
  audit: "/audit",
  missing: "/repositori",
};
const flags = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
  "--disable-component-update", "--disable-sync"];

fs.mkdirSync(directory, { recursive: true });
const profile = fs.mkdtempSync(path.join(process.env.HOME, "profile-"));
const browser = await chromium.launchPersistentContext(profile, {
  executablePath: "/usr/bin/chromium", headless: true, args: flags,
});
const page = await browser.newPage();
let findings = 0;
const found = (what) => { findings += 1; console.error(what); };
page.on("console", (message) => { if (message.type() === "error" && !/status of 40[34]/.test(message.text())) found(`console: ${message.text()}`); });
page.on("request", (request) => { if (!request.url().startsWith(url)) found(`a request to ${request.url()}`); });
for (const [name, address] of Object.entries(pages)) {
  for (const scheme of ["light", "dark"]) {
    for (const width of [1280, 390]) {
      await page.emulateMedia({ colorScheme: scheme });
      await page.setViewportSize({ width, height: 900 });
      const started = Date.now();
      const response = await page.goto(url + address, { waitUntil: "load" });
      const took = Date.now() - started;
      const where = `${name} ${scheme} ${width}`;
      await page.screenshot({ path: path.join(directory, `${name}-${scheme}-${width}.png`), fullPage: true });
      const wide = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
      if (wide > 0) found(`${where}: scrolls ${wide} pixels sideways`);
      // The page's own policy forbids scripts from elsewhere, so axe-core comes by the debugging protocol.
      await page.evaluate(axe);
      const result = await page.evaluate(() => window.axe.run(document, { resultTypes: ["violations"] }));
      for (const violation of result.violations) {
        found(`${where}: ${violation.id}: ${violation.help}: ${violation.nodes.slice(0, 3).map((node) => node.html.slice(0, 160)).join(" | ")}`);
      }
      console.log(`${where}: ${response.status()}, ${took} ms`);
    }
  }
}
await browser.close();
console.log(findings === 0 ? "nothing found" : `${findings} findings`);
process.exit(findings === 0 ? 0 : 1);
