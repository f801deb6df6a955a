// Opens every page in Chromium, in both colour schemes and two widths: takes a picture, runs axe-core, and finds pages that scroll
// sideways, load something from elsewhere, or break their own Content-Security-Policy.
// Usage: node look.mjs URL GUN DIRECTORY TUF_REPOSITORY. The certificate comes from the NSS store of $HOME.
import fs from "node:fs";
import path from "node:path";
import { examine, launch, pages, tufPages, watch } from "./browser.mjs";

const [url, gun, directory, tuf] = process.argv.slice(2);
fs.mkdirSync(directory, { recursive: true });
const browser = await launch(process.env.HOME);
const page = await browser.newPage();
let findings = 0;
const found = (what) => { findings += 1; console.error(what); };
watch(page, url, found);
for (const [name, address] of Object.entries({ ...pages(gun), ...tufPages(tuf) })) {
  for (const scheme of ["light", "dark"]) {
    for (const width of [1280, 390]) {
      await page.emulateMedia({ colorScheme: scheme });
      await page.setViewportSize({ width, height: 900 });
      const started = Date.now();
      const response = await page.goto(url + address, { waitUntil: "load" });
      const took = Date.now() - started;
      const where = `${name} ${scheme} ${width}`;
      await page.screenshot({ path: path.join(directory, `${name}-${scheme}-${width}.png`), fullPage: true });
      for (const finding of await examine(page)) found(`${where}: ${finding}`);
      console.log(`${where}: ${response.status()}, ${took} ms`);
    }
  }
}
await browser.close();
console.log(findings === 0 ? "nothing found" : `${findings} findings`);
process.exit(findings === 0 ? 0 : 1);
