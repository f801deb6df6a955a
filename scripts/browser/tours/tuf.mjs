// Somebody looks at a TUF 1.0 repository, in both colour schemes and two widths, and follows what leads from page to page.
import { examine, tufPages } from "../browser.mjs";

export default async (setup, tools) => {
  const page = await tools.page(await tools.browser(setup.home));
  for (const address of Object.values(tufPages(setup.name))) {
    for (const colorScheme of ["light", "dark"]) {
      for (const width of [1280, 390]) {
        await page.emulateMedia({ colorScheme });
        await page.setViewportSize({ width, height: 900 });
        const response = await page.goto(setup.url + address, { waitUntil: "load" });
        const where = `${address} ${colorScheme} ${width}`;
        if (response.status() !== 200) tools.found(`${where}: ${response.status()}`);
        for (const finding of await examine(page)) tools.found(`${where}: ${finding}`);
      }
    }
  }
  await page.setViewportSize({ width: 1280, height: 900 });
  await page.goto(`${setup.url}/`);
  await page.getByRole("navigation", { name: "Main" }).getByRole("link", { name: "TUF 1.0" }).click();
  await page.getByRole("link", { name: setup.name }).click();
  await page.getByRole("searchbox").fill(setup.target);
  await page.getByRole("button", { name: "Show" }).click();
  await page.getByRole("rowheader", { name: setup.target }).waitFor();
  const tabs = page.getByRole("navigation", { name: "This repository" });
  await tabs.getByRole("link", { name: "Signers" }).click();
  await page.getByRole("heading", { name: "Waiting for signatures" }).waitFor();
  await page.getByRole("article", { name: "Waiting: root" }).waitFor();
  await tabs.getByRole("link", { name: "Trust root" }).click();
  await page.getByText("The chain is whole.").waitFor();
  await page.goto(`${setup.url}/expiry?days=3650`);
  await page.getByRole("link", { name: setup.name }).first().click();
  await page.getByRole("heading", { name: setup.name }).waitFor();
};
