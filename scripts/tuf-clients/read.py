"""Downloads targets of a TUF 1.0 repository with python-tuf's ngclient, over mutual TLS.

Usage: read.py SETTINGS..., files of JSON: {"metadata", "targets": addresses, "root": file, "cache": directory,
"ca", "certificate", "key": files, "wanted": [path, ...], "download": bool}. Prints one line of JSON for each: the SHA-256 of each target
as downloaded or, without "download", as signed, null for one that is not there; or the client's refusal.
"""

import hashlib
import json
import os
import sys

import urllib3
from tuf.api.exceptions import DownloadHTTPError
from tuf.ngclient import FetcherInterface, Updater


class Fetcher(FetcherInterface):
    def __init__(self, settings):
        self.pool = urllib3.PoolManager(
            ca_certs=settings.get("ca"),
            cert_file=settings.get("certificate"),
            key_file=settings.get("key"),
            retries=urllib3.Retry(total=5, connect=0, read=0, status=0, other=0, raise_on_status=False),
        )

    def _fetch(self, url):
        answer = self.pool.request("GET", url, preload_content=False)
        if answer.status >= 400:
            raise DownloadHTTPError(f"{answer.status} for {url}", answer.status)
        return answer.stream(64 * 1024)


def read(path):
    with open(path, encoding="utf-8") as file:
        settings = json.load(file)
    cache, files = settings["cache"] + "/metadata", settings["cache"] + "/targets"
    os.makedirs(cache, exist_ok=True)
    os.makedirs(files, exist_ok=True)
    with open(settings["root"], "rb") as file:
        root = file.read()
    try:
        updater = Updater(
            metadata_dir=cache,
            metadata_base_url=settings["metadata"],
            target_dir=files,
            target_base_url=settings["targets"],
            fetcher=Fetcher(settings),
            bootstrap=root,
        )
        updater.refresh()
        found = {}
        for path in settings["wanted"]:
            info = updater.get_targetinfo(path)
            if info is None:
                found[path] = None
                continue
            if not settings["download"]:
                found[path] = info.hashes["sha256"]
                continue
            with open(updater.download_target(info), "rb") as file:
                found[path] = hashlib.sha256(file.read()).hexdigest()
        print(json.dumps({"found": found}))
    except Exception as refusal:  # whatever the client says is the answer
        print(json.dumps({"refused": f"{type(refusal).__name__}: {refusal}"}))


for path in sys.argv[1:]:
    read(path)
