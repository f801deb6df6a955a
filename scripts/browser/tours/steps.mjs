// Steps that tours share.
import assert from "node:assert/strict";

// Opens a page that has to answer with this status.
export const open = async (page, address, status = 200) => {
  const response = await page.goto(address);
  assert.equal(response.status(), status, address);
};

// Presses or follows something that leads to another page; returns the status of what is there then.
export const follow = async (page, locator) => {
  const arrives = (response) => response.request().isNavigationRequest() && ![301, 303].includes(response.status());
  const [response] = await Promise.all([page.waitForResponse(arrives), page.waitForEvent("domcontentloaded"), locator.click()]);
  return response.status();
};

// Waits until the page shows this.
export const shows = (page, ...texts) =>
  Promise.all(texts.map((text) => page.getByText(text).and(page.locator(":visible")).first().waitFor()));

// Opens a list of repositories, once the server has read them all.
export const read = async (page, address) => {
  do await open(page, address); while (await page.getByText("The server is reading its repositories").count() > 0);
};

export const button = (page, name) => page.getByRole("button", { name });
export const link = (page, name) => page.getByRole("link", { name, exact: true });
