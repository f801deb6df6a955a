// Makes a key and a request for a certificate of it (PKCS#10, RFC 2986), has this server issue the certificate, and joins the two in a
// file for browsers (PKCS#12, RFC 7292). All cryptography is the browser's; the private key stays in this page and in that file.

const join = (parts) => {
  const joined = new Uint8Array(parts.reduce((length, part) => length + part.length, 0));
  let at = 0;
  for (const part of parts) { joined.set(part, at); at += part.length; }
  return joined;
};

// DER: a value with its tag and length, from parts of its content.
const der = (tag, ...parts) => {
  const content = join(parts);
  const length = [];
  for (let left = content.length; left > 0; left >>>= 8) length.unshift(left & 255);
  return join([Uint8Array.from(content.length < 128 ? [tag, content.length] : [tag, 128 + length.length, ...length]), content]);
};
const sequence = (...parts) => der(0x30, ...parts);
const set = (...parts) => der(0x31, ...parts);
const octets = (bytes) => der(0x04, bytes);
const inner = (...parts) => der(0xa0, ...parts);
// A number of some bytes, the highest first, which is never negative.
const number = (bytes) => {
  const from = bytes.findIndex((byte) => byte !== 0);
  const digits = from < 0 ? [0] : [...bytes.slice(from)];
  return der(0x02, Uint8Array.from(digits[0] > 127 ? [0, ...digits] : digits));
};
const small = (value) => number([value >>> 24, (value >>> 16) & 255, (value >>> 8) & 255, value & 255]);
const name = (dotted) => {
  const [first, second, ...rest] = dotted.split(".").map(Number);
  const base128 = (arc) => {
    const digits = [arc & 127];
    for (let left = Math.floor(arc / 128); left > 0; left = Math.floor(left / 128)) digits.unshift(128 | (left & 127));
    return digits;
  };
  return der(0x06, Uint8Array.from([first * 40 + second, ...rest.flatMap(base128)]));
};
const nothing = () => der(0x05);
const wide = (text) => Uint8Array.from([...text].flatMap((letter) => [...Array(letter.length).keys()].flatMap((at) => {
  const unit = letter.charCodeAt(at);
  return [unit >> 8, unit & 255];
})));
const random = (length) => crypto.getRandomValues(new Uint8Array(length));
const digest = async (bytes) => new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));

const toPem = (label, bytes) => {
  const text = btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(""));
  return `-----BEGIN ${label}-----\n${text.match(/.{1,64}/g).join("\n")}\n-----END ${label}-----\n`;
};
const fromPem = (pem) => Uint8Array.from(atob(pem.replace(/-----[^-]*-----|\s/g, "")), (letter) => letter.charCodeAt(0));

// A request for a certificate of this key, without a name: the server decides that. In PEM.
export const request = async ({ publicKey, privateKey }) => {
  const key = new Uint8Array(await crypto.subtle.exportKey("spki", publicKey));
  const info = sequence(small(0), sequence(), key, inner());
  const raw = new Uint8Array(await crypto.subtle.sign({ name: "ECDSA", hash: "SHA-256" }, privateKey, info));
  const signature = sequence(number(raw.slice(0, 32)), number(raw.slice(32)));
  const signed = sequence(info, sequence(name("1.2.840.10045.4.3.2")), der(0x03, Uint8Array.of(0), signature));
  return toPem("CERTIFICATE REQUEST", signed);
};

// How often a password is hashed. It is made by this page and cannot be guessed, so this need not make guessing slow.
const ROUNDS = 2048;
// Bytes, as in files of OpenSSL 3.0: the keychain of macOS is known to refuse some with longer ones.
const SALT = 8;

// Encrypts for a password (PBES2, RFC 8018: PBKDF2 with HMAC-SHA-256, AES-256-CBC): the algorithm, and what is encrypted.
const encrypt = async (password, bytes) => {
  const [salt, iv] = [random(SALT), random(16)];
  const from = await crypto.subtle.importKey("raw", new TextEncoder().encode(password), "PBKDF2", false, ["deriveKey"]);
  const how = { name: "PBKDF2", hash: "SHA-256", salt, iterations: ROUNDS };
  const key = await crypto.subtle.deriveKey(how, from, { name: "AES-CBC", length: 256 }, false, ["encrypt"]);
  const encrypted = new Uint8Array(await crypto.subtle.encrypt({ name: "AES-CBC", iv }, key, bytes));
  const derivation = sequence(name("1.2.840.113549.1.5.12"),
    sequence(octets(salt), small(ROUNDS), sequence(name("1.2.840.113549.2.9"), nothing())));
  const cipher = sequence(name("2.16.840.1.101.3.4.1.42"), octets(iv));
  return [sequence(name("1.2.840.113549.1.5.13"), sequence(derivation, cipher)), encrypted];
};

// The key by which a PKCS#12 file is checked (RFC 7292, appendix B.2, with SHA-256): one block is enough.
const macKey = async (password, salt) => {
  const filled = (bytes) => Uint8Array.from({ length: 64 * Math.ceil(bytes.length / 64) }, (_, at) => bytes[at % bytes.length]);
  let key = join([new Uint8Array(64).fill(3), filled(salt), filled(wide(`${password}\0`))]);
  for (let round = 0; round < ROUNDS; round += 1) key = await digest(key);
  return key;
};

// A file with the certificate (PEM) and its key, which programs show under `label`.
export const file = async (password, label, certificate, privateKey) => {
  const der12 = fromPem(certificate);
  const id = (await digest(der12)).slice(0, 20);
  const about = set(
    sequence(name("1.2.840.113549.1.9.20"), set(der(0x1e, wide(label)))),
    sequence(name("1.2.840.113549.1.9.21"), set(octets(id))),
  );
  const bag = (kind, value) => sequence(sequence(name(`1.2.840.113549.1.12.10.1.${kind}`), inner(value), about));
  const data = (bytes) => sequence(name("1.2.840.113549.1.7.1"), inner(octets(bytes)));
  const [keyHow, key] = await encrypt(password, new Uint8Array(await crypto.subtle.exportKey("pkcs8", privateKey)));
  const certificates = bag(3, sequence(name("1.2.840.113549.1.9.22.1"), inner(octets(der12))));
  const [how, encrypted] = await encrypt(password, certificates);
  const hidden = sequence(name("1.2.840.113549.1.7.6"),
    inner(sequence(small(0), sequence(name("1.2.840.113549.1.7.1"), how, der(0x80, encrypted)))));
  const safe = sequence(hidden, data(bag(2, sequence(keyHow, octets(key)))));
  const salt = random(SALT);
  const mac = await crypto.subtle.importKey("raw", await macKey(password, salt), { name: "HMAC", hash: "SHA-256" }, false, ["sign"]);
  const checked = octets(new Uint8Array(await crypto.subtle.sign("HMAC", mac, safe)));
  const check = sequence(sequence(sequence(name("2.16.840.1.101.3.4.2.1"), nothing()), checked), octets(salt), small(ROUNDS));
  return sequence(small(3), data(safe), check);
};

export const makeKey = () => crypto.subtle.generateKey({ name: "ECDSA", namedCurve: "P-256" }, true, ["sign", "verify"]);

// 100 random bits, in letters and digits that are not taken for each other.
export const makePassword = () =>
  Array.from(random(20), (byte) => "abcdefghjkmnpqrstuvwxyz123456789"[byte & 31]).join("").match(/.{5}/g).join("-");

const show = (id) => { const found = document.getElementById(id); found.hidden = false; return found; };

const make = async () => {
  const pair = await makeKey();
  const answer = await fetch("/api/v0/bundle", {
    method: "POST", credentials: "same-origin", headers: { "Content-Type": "application/json", Accept: "application/json" },
    body: JSON.stringify({ request: await request(pair) }),
  });
  const issued = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Error(issued.errors?.[0]?.message ?? `the server answered ${answer.status}`);
  const password = makePassword();
  const until = issued.notAfter?.slice(0, 10) ?? "";
  const p12 = await file(password, `${issued.name}, until ${until}`, issued.certificate, pair.privateKey);
  const key = toPem("PRIVATE KEY", new Uint8Array(await crypto.subtle.exportKey("pkcs8", pair.privateKey)));
  const offer = (id, extension, kind, content) => {
    const link = document.getElementById(id);
    link.href = URL.createObjectURL(new Blob([content], { type: kind }));
    link.download = `${issued.name.replace(/[^\w.@-]+/g, "_") || "certificate"}-${until}.${extension}`;
  };
  offer("p12", "p12", "application/x-pkcs12", p12);
  offer("pem", "pem", "application/x-pem-file", key + issued.certificate + issued.ca);
  document.getElementById("password").textContent = password;
  document.getElementById("until").textContent = until;
  show("made").focus();
};

if (globalThis.document) {
  document.getElementById("plain").hidden = true;
  if (globalThis.isSecureContext && crypto.subtle) {
    const button = show("make").querySelector("button");
    button.addEventListener("click", async () => {
      button.disabled = true;
      document.getElementById("failed").hidden = true;
      try {
        await make();
        document.getElementById("make").hidden = true;
      } catch (error) {
        show("failed").querySelector("b+span").textContent = error.message;
        button.disabled = false;
      }
    });
  } else {
    show("insecure");
  }
}
