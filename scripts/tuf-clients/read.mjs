// Downloads targets of a TUF 1.0 repository with tuf-js, over mutual TLS. Settings and output are those of read.py.
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import https from 'node:https';
import { BaseFetcher, Updater } from 'tuf-js';
// Of this class tuf-js takes 403 and 404 for the end of the chain of roots.
import { DownloadHTTPError } from 'tuf-js/dist/error.js';

const settings = JSON.parse(readFileSync(process.argv[2], 'utf8'));
const file = (name) => (settings[name] ? readFileSync(settings[name]) : undefined);
const tls = { ca: file('ca'), cert: file('certificate'), key: file('key') };

class Fetcher extends BaseFetcher {
  fetch(url) {
    return new Promise((resolve, reject) => {
      https
        .get(url, tls, (answer) => {
          if (answer.statusCode >= 400) {
            answer.resume();
            reject(new DownloadHTTPError(`${answer.statusCode} for ${url}`, answer.statusCode));
            return;
          }
          resolve(answer);
        })
        .on('error', reject);
    });
  }
}

const directories = { metadataDir: `${settings.cache}/metadata`, targetDir: `${settings.cache}/targets` };
for (const directory of Object.values(directories)) mkdirSync(directory, { recursive: true });
writeFileSync(`${directories.metadataDir}/root.json`, readFileSync(settings.root));
try {
  const updater = new Updater({
    ...directories,
    metadataBaseUrl: settings.metadata,
    targetBaseUrl: settings.targets,
    fetcher: new Fetcher(),
  });
  await updater.refresh();
  const found = {};
  for (const path of settings.wanted) {
    const info = await updater.getTargetInfo(path);
    if (info && !settings.download) {
      found[path] = info.hashes.sha256;
      continue;
    }
    const place = info && (await updater.downloadTarget(info));
    found[path] = place ? createHash('sha256').update(readFileSync(place)).digest('hex') : null;
  }
  console.log(JSON.stringify({ found }));
} catch (refusal) {
  console.log(JSON.stringify({ refused: `${refusal.constructor.name}: ${refusal.message}` }));
}
