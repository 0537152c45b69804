"""Has a real Chromium open a video at a web address, play it, and seek in it; prints what came of it as JSON.

    python browser.py CHROMIUM URL SECONDS

SECONDS is where it seeks to. The browser has a profile of its own, speaks over pipes (Chrome DevTools Protocol), and ends with
this process. Exit code 1, and the reason on stderr, where the video does not play.
"""

import json
import os
import subprocess
import sys
import tempfile
import time

PATIENCE = 60


class Browser:
    """A Chromium and one page of it."""

    def __init__(self, program, profile):
        to_read, self.to = os.pipe()
        self.of, to_write = os.pipe()

        def wire():
            # Chromium reads its orders at 3 and writes its answers at 4.
            os.dup2(to_read, 13)
            os.dup2(to_write, 14)
            os.dup2(13, 3)
            os.dup2(14, 4)

        self.process = subprocess.Popen(
            [program, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-sync",
             "--disable-background-networking", "--autoplay-policy=no-user-gesture-required", "--mute-audio",
             "--remote-debugging-pipe", f"--user-data-dir={profile}", "about:blank"],
            preexec_fn=wire, close_fds=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        os.close(to_read)
        os.close(to_write)
        self.rest, self.number, self.session, self.seen = b"", 0, None, []
        target = self.ask("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        self.ask("Page.enable")
        self.ask("Network.enable")

    def message(self):
        while b"\0" not in self.rest:
            piece = os.read(self.of, 1 << 16)
            if not piece:
                raise EOFError("the browser has gone")
            self.rest += piece
        text, self.rest = self.rest.split(b"\0", 1)
        return json.loads(text)

    def ask(self, method, **params):
        self.number += 1
        order = {"id": self.number, "method": method, "params": params}
        if self.session:
            order["sessionId"] = self.session
        os.write(self.to, json.dumps(order).encode() + b"\0")
        while True:
            message = self.message()
            if message.get("id") == self.number:
                if "error" in message:
                    raise RuntimeError(f"{method}: {message['error']}")
                return message["result"]
            self.seen.append(message)

    def value(self, script):
        return self.ask("Runtime.evaluate", expression=script, returnByValue=True)["result"].get("value")

    def until(self, what, script):
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            value = self.value(script)
            if value:
                return value
            time.sleep(0.05)
        raise TimeoutError(f"{what}: {self.value(STATE)}")

    def responses(self):
        return [event["params"]["response"] for event in self.seen if event.get("method") == "Network.responseReceived"]

    def end(self):
        self.process.terminate()
        self.process.wait()


VIDEO = "document.querySelector('video')"
STATE = f"JSON.stringify({VIDEO} && {{error: {VIDEO}.error && {VIDEO}.error.message, ready: {VIDEO}.readyState}})"


def watch(browser, url, seconds):
    browser.ask("Page.navigate", url=url)
    browser.until("a video", f"!!{VIDEO} && {VIDEO}.readyState >= 1")
    duration = browser.value(f"{VIDEO}.duration")
    browser.value(f"void {VIDEO}.play()")
    browser.until("it plays", f"{VIDEO}.currentTime > 0.2")
    browser.value(f"void ({VIDEO}.currentTime = {seconds})")
    place = browser.until("it plays there", f"!{VIDEO}.seeking && {VIDEO}.currentTime > {seconds} + 0.2 && {VIDEO}.currentTime")
    browser.value("1")
    statuses = [response["status"] for response in browser.responses()]
    return {"duration": duration, "played_at": place, "statuses": statuses, "title": browser.value("document.title")}


def main():
    program, url, seconds = sys.argv[1:]
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        browser = Browser(program, profile)
        try:
            print(json.dumps(watch(browser, url, float(seconds))))
        except (EOFError, RuntimeError, TimeoutError) as error:
            sys.exit(f"browser.py: {error}")
        finally:
            browser.end()


main()
