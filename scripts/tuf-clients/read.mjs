// Downloads targets of a TUF 1.0 repository with tuf-js, over mutual TLS. Settings and output are those of read.py.
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import https from 'node:https';
import { BaseFetcher, Updater } from 'tuf-js';
// Of this class tuf-js takes 403 and 404 for the end of the chain of roots.
import { DownloadHTTPError } from 'tuf-js/dist/error.js';

class Fetcher extends BaseFetcher {
  constructor(settings) {
    super();
    const file = (name) => (settings[name] ? readFileSync(settings[name]) : undefined);
    this.tls = { ca: file('ca'), cert: file('certificate'), key: file('key') };
  }

  fetch(url) {
    return new Promise((resolve, reject) => {
      (url.startsWith('http:') ? http : https)
        .get(url, this.tls, (answer) => {
          if (answer.statusCode >= 300 && answer.statusCode < 400) {
            answer.resume();
            resolve(this.fetch(new URL(answer.headers.location, url).href));
            return;
          }
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

const read = async (settings) => {
  const directories = { metadataDir: `${settings.cache}/metadata`, targetDir: `${settings.cache}/targets` };
  for (const directory of Object.values(directories)) mkdirSync(directory, { recursive: true });
  writeFileSync(`${directories.metadataDir}/root.json`, readFileSync(settings.root));
  try {
    const updater = new Updater({
      ...directories,
      metadataBaseUrl: settings.metadata,
      targetBaseUrl: settings.targets,
      fetcher: new Fetcher(settings),
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
};

for (const path of process.argv.slice(2)) await read(JSON.parse(readFileSync(path, 'utf8')));
