// Pages of other sites send a browser to this server, which adds the certificate of whoever sits before it.
import assert from "node:assert/strict";
import fs from "node:fs";
import http from "node:http";
import https from "node:https";
import { follow, open, shows } from "./steps.mjs";

const escaped = (text) => text.replaceAll("&", "&amp;").replaceAll('"', "&quot;");

// A page whose form is sent at once, as nobody asked for it.
const sending = (action, fields) => `<!doctype html><title>Win a prize</title><form method="post" action="${escaped(action)}">
${Object.entries(fields).map(([name, value]) => `<input type="hidden" name="${name}" value="${escaped(value)}">`).join("")}</form>
<script>document.forms[0].submit()</script>`;

// Another site: one page at each address, as it is set.
const site = async (create, scheme, host) => {
  const served = {};
  const server = create((request, response) => {
    response.writeHead(served[request.url] ? 200 : 404, { "Content-Type": "text/html" });
    response.end(served[request.url]);
  });
  await new Promise((listening) => { server.listen(0, "127.0.0.1", listening); });
  return { served, server, url: `${scheme}://${host}:${server.address().port}` };
};

export default async ({ url, home, gun, certificate, key }, { browser }) => {
  const files = { cert: fs.readFileSync(certificate), key: fs.readFileSync(key) };
  const sites = [
    await site(http.createServer, "http", "127.0.0.1"),
    await site(http.createServer, "http", "localhost"),
    // The same host name and scheme: to a browser this is the same site.
    await site((answer) => https.createServer(files, answer), "https", "localhost"),
  ];
  const context = await (await browser(home)).newContext();
  const own = await context.newPage();
  await open(own, `${url}/access`);
  await shows(own, "CN=alice");
  // Nobody else gets to know it; were it known, it would not help.
  const token = await own.locator("input[name=token]").first().getAttribute("value");
  const deny = { do: "deny", principal: "victim", sure: "victim", token };
  const page = await context.newPage();
  for (const { served, url: other } of sites) {
    for (const [name, action, fields] of [
      ["deny", `${url}/access/change`, deny],
      ["account", `${url}/access/change`, { do: "account.put", name: "mallory", admin: "yes", token }],
      ["whose", `${url}/access/whose`, { pem: "x", token }],
      ["certificate", `${url}/access/certificate`, { request: "x", token }],
      ["rotate", `${url}/v2/${gun}/_trust/tuf/snapshot.key`, {}],
      ["again", `${url}/v2/${gun}/_trust/tuf/timestamp.key`, {}],
    ]) {
      served[`/${name}`] = sending(action, fields);
      const refused = page.waitForResponse((response) => response.url() === action);
      await page.goto(`${other}/${name}`);
      assert.equal((await refused).status(), 403, `${name} from ${other}`);
      await page.waitForURL(action);
      await shows(page, /another site/);
    }
    // A picture makes the browser ask for a key, which would be made. The browser keeps the answer to itself.
    served["/picture"] = `<!doctype html><img src="${url}/v2/reg.example/new/_trust/tuf/timestamp.key">`;
    await page.goto(`${other}/picture`);
    await page.waitForFunction(() => document.images[0].complete);
    // Its script may send, and gets nothing to read.
    served["/script"] = "<!doctype html><title>Script</title>";
    await page.goto(`${other}/script`);
    for (const [path, method] of [["/api/v0/denials", "POST"], ["/api/v0/admin/reload", "POST"], ["/api/v0/accounts", "GET"]]) {
      const answer = await page.evaluate(([address, how]) => fetch(address, { method: how, credentials: "include" })
        .then((response) => response.text(), () => "refused"), [url + path, method]);
      assert.equal(answer, "refused", `${method} ${path} from ${other}`);
    }
    const sent = page.waitForResponse(`${url}/api/v0/admin/reload`);
    await page.evaluate((address) => fetch(address, { method: "POST", mode: "no-cors", credentials: "include" }), `${url}/api/v0/admin/reload`);
    assert.equal((await sent).status(), 403, `reload from ${other}`);
    // No frame of it shows a page of this server.
    served["/frame"] = `<!doctype html><iframe src="${url}/access"></iframe>`;
    const blocked = page.waitForEvent("console", (message) => message.text().includes("frame-ancestors 'none'"));
    await page.goto(`${other}/frame`);
    await blocked;
    // A link does not bring anybody before a button that gives access to somebody else; what takes it away wants a name typed.
    for (const [query, status] of [
      ["do=account.put&name=mallory&admin=yes", 400], ["do=key.add&name=alice&pem=x", 400], ["do=account.enable&name=mallory", 400],
      ["do=undo&id=x", 400], ["do=reload", 400], ["do=deny&principal=alice&sure=alice&confirm=lock-out", 200],
    ]) {
      served["/lead"] = `<!doctype html><a href="${url}/access/confirm?${escaped(query)}">Win</a>`;
      await page.goto(`${other}/lead`);
      assert.equal(await follow(page, page.getByRole("link", { name: "Win" })), status, query);
    }
    assert.equal(await page.getByLabel("Type alice").inputValue(), "");
    assert.ok(!await page.locator("input[name=confirm]").isChecked());
    // A link is only a way to look.
    served["/link"] = `<!doctype html><a href="${url}/access">Look</a>`;
    await page.goto(`${other}/link`);
    assert.equal(await follow(page, page.getByRole("link", { name: "Look" })), 200);
    await shows(page, "CN=alice", "Nobody is denied.", "There are no accounts.");
  }
  // The same form in a page of this server does what it says, so it is its origin that was refused.
  await own.reload();
  assert.equal(await own.locator("input[name=token]").first().getAttribute("value"), token);
  await own.evaluate(([action, fields]) => {
    const form = Object.assign(document.createElement("form"), { method: "post", action });
    for (const [name, value] of Object.entries(fields)) form.append(Object.assign(document.createElement("input"), { name, value }));
    document.body.append(form);
    form.submit();
  }, [`${url}/access/change`, deny]);
  await shows(own, "victim");
  for (const { server } of sites) server.close();
};
