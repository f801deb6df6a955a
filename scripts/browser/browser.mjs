// What the scripts share: Debian's Chromium with the certificates of a home directory, and what is wrong with a page.
import fs from "node:fs";
import { createRequire } from "node:module";
import { chromium } from "playwright-core";

const axe = fs.readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const flags = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
  "--disable-component-update", "--disable-sync"];

// Every page of a server, with the names of its pictures.
export const pages = (gun, tag = "1.0") => {
  const repository = `?gun=${encodeURIComponent(gun)}`;
  return {
    overview: "/",
    repositories: "/repositories",
    "repositories-empty": "/repositories?q=nothing-like-this",
    tags: `/repository${repository}`,
    tag: `/repository/tag${repository}&tag=${encodeURIComponent(tag)}`,
    signers: `/repository/signers${repository}`,
    root: `/repository/root${repository}`,
    activity: `/repository/activity${repository}&from=1&to=3`,
    documents: `/repository/documents${repository}&role=targets`,
    commands: `/repository/commands${repository}`,
    expiry: "/expiry?days=3650",
    access: `/access?action=delete&gun=${encodeURIComponent(gun)}`,
    certificate: "/access/certificate",
    audit: "/audit",
    missing: "/repositori",
  };
};

// Every page about a TUF 1.0 repository, with the names of its pictures.
export const tufPages = (name) => {
  const repository = `?gun=${encodeURIComponent(name)}`;
  return {
    "tuf": "/tuf",
    "tuf-empty": "/tuf?q=nothing-like-this",
    "tuf-targets": `/tuf/repository${repository}`,
    "tuf-signers": `/tuf/repository/signers${repository}`,
    "tuf-root": `/tuf/repository/root${repository}`,
    "tuf-activity": `/tuf/repository/activity${repository}`,
    "tuf-documents": `/tuf/repository/documents${repository}`,
    "tuf-commands": `/tuf/repository/commands${repository}`,
  };
};

// A browser with the store of certificates of this home directory, and a profile of its own that is removed when it ends.
export const launch = (home) => chromium.launch({
  executablePath: "/usr/bin/chromium", headless: true, args: flags, timeout: 120_000, env: { ...process.env, HOME: home },
});

// Reports what no page may do: ask another server for anything, or have an error in its console. That the server refuses a page is an
// error to the console as well; who expects a refusal looks at its status.
export const watch = (page, url, found) => {
  page.on("console", (message) => {
    if (message.type() === "error" && !/status of 4\d\d/.test(message.text())) found(`console: ${message.text()}`);
  });
  page.on("pageerror", (error) => found(`script: ${error}`));
  page.on("request", (request) => { if (!request.url().startsWith(`${url}/`)) found(`a request to ${request.url()}`); });
};

// What axe-core finds on a page, and whether it scrolls sideways.
export const examine = async (page) => {
  const findings = [];
  const wide = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
  if (wide > 0) findings.push(`scrolls ${wide} pixels sideways`);
  // The page's own policy forbids scripts from elsewhere, so axe-core comes by the debugging protocol.
  await page.evaluate(axe);
  const result = await page.evaluate(() => window.axe.run(document, { resultTypes: ["violations"] }));
  for (const { id, help, nodes } of result.violations) {
    findings.push(`${id}: ${help}: ${nodes.slice(0, 3).map((node) => node.html.slice(0, 160)).join(" | ")}`);
  }
  return findings;
};
