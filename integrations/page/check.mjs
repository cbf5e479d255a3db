// The pages of `kwaya serve` in a real Chromium: every room in three widths,
// in the dark, in Arabic, without a script, by keyboard alone; chat, passages,
// signing in, a training that goes on. Prints what it checked, and fails when
// something is wrong.
//
//   npm install && node check.mjs KWAYA FOLDER [PICTURES]
//
// KWAYA is the program, FOLDER a folder with a finished build, PICTURES where
// the pictures go. CHROMIUM names the browser (/usr/bin/chromium).

import { spawn, execFileSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { chromium } from "playwright-core";

const [kwaya, folder, pictures] = process.argv.slice(2);
const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const WIDTHS = [320, 768, 1280];
const ROOMS = ["/", "/data", "/data/documents", "/data/dropped", "/training", "/try", "/try/ask"];
const LANGUAGES = ["en", "sw", "fr", "es", "pt", "ar", "hi", "ru", "zh"];
const STANDARDS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"];

let failures = 0;
let checks = 0;

function check(good, what, detail = "") {
  checks += 1;
  if (good) return;
  failures += 1;
  console.log(`WRONG  ${what}${detail ? `: ${detail}` : ""}`);
}

function told(what) {
  console.log(`${String(checks).padStart(5)} checks  ${what}`);
}

// A server, by its address.
function serve(place) {
  const child = spawn(kwaya, ["serve", place, "--listen", "127.0.0.1:0", "--tokens", "120"], {
    stdio: ["ignore", "ignore", "pipe"],
  });
  return new Promise((resolve, reject) => {
    child.on("exit", () => reject(new Error(`no server for ${place}`)));
    createInterface({ input: child.stderr }).on("line", (line) => {
      const event = JSON.parse(line);
      if (event.event === "listening") resolve({ address: event.address, child });
    });
  });
}

// A page that notes whatever a good page never does.
async function visitor(browser, address, options = {}) {
  const context = await browser.newContext({ locale: "en", viewport: { width: 1280, height: 900 }, ...options });
  const page = await context.newPage();
  const watched = { expected: [] };
  page.on("console", (message) => {
    const refused = watched.expected.some((part) => message.text().includes(part));
    if (["error", "warning"].includes(message.type())) check(refused, "the console is silent", message.text());
  });
  page.on("pageerror", (error) => check(false, "no script fails", error.message));
  page.on("request", (request) => {
    check(new URL(request.url()).origin === address, "no other host is asked", request.url());
  });
  return { context, page, watched };
}

async function look(page, address, path) {
  const answer = await page.goto(address + path);
  check(answer.status() === 200, `${path} is there`, String(answer.status()));
}

// What has to hold for every page, however it is seen.
async function examine(page, name) {
  const [inner, outer] = await page.evaluate(() => {
    const root = document.documentElement;
    return [root.scrollWidth, root.clientWidth];
  });
  check(inner <= outer, `${name} needs no scrolling sideways`, `${inner} > ${outer}`);
  const found = await page.evaluate(
    async ([source, standards]) => {
      if (!window.axe) (0, eval)(source);
      const result = await window.axe.run(document, { runOnly: standards });
      return result.violations.map((one) => `${one.id} (${one.nodes.length}) ${one.nodes[0].html.slice(0, 160)}`);
    },
    [AXE, STANDARDS],
  );
  check(found.length === 0, `${name} passes axe`, found.join(" | "));
  const landmarks = await page.evaluate(() =>
    ["header", "main", "footer", "h1"].map((one) => document.querySelectorAll(`body ${one}`).length),
  );
  check(landmarks.join() === "1,1,1,1", `${name} has its landmarks`, landmarks.join());
}

async function picture(page, name) {
  if (pictures) await page.screenshot({ path: join(pictures, `${name}.png`), fullPage: true });
}

const nameOf = (path) => path.replaceAll("/", "-").replace(/^-/, "") || "overview";

async function everyRoom(browser, address) {
  for (const [look_, options] of [
    ["light", {}],
    ["dark", { colorScheme: "dark" }],
    ["arabic", { locale: "ar" }],
  ]) {
    for (const width of WIDTHS) {
      const { context, page } = await visitor(browser, address, { ...options, viewport: { width, height: 900 } });
      for (const path of ROOMS) {
        await look(page, address, path);
        await examine(page, `${path} ${look_} ${width}`);
        await picture(page, `${nameOf(path)}-${look_}-${width}`);
        if (look_ === "arabic") {
          check((await page.getAttribute("html", "dir")) === "rtl", `${path} is written from right to left`);
        }
      }
      await context.close();
    }
    told(`all rooms, ${look_}, ${WIDTHS.join(", ")} points wide`);
  }
}

async function everyLanguage(browser, address) {
  for (const language of LANGUAGES) {
    const { context, page } = await visitor(browser, address, { locale: language, viewport: { width: 320, height: 700 } });
    for (const path of ["/", "/data", "/training", "/try"]) {
      await look(page, address, path);
      check((await page.getAttribute("html", "lang")) === language, `${path} is in ${language}`);
      await examine(page, `${path} in ${language}`);
    }
    await picture(page, `language-${language}`);
    await context.close();
  }
  const { context, page } = await visitor(browser, address);
  await look(page, address, "/data");
  await page.click("footer a[lang=sw]");
  check((await page.getAttribute("html", "lang")) === "sw", "a language can be chosen");
  await page.click("nav a[href='/try']");
  check((await page.getAttribute("html", "lang")) === "sw", "the choice is kept");
  await context.close();
  told("all languages on a small screen, and the choice between them");
}

// Without a script all works that has to.
async function withoutScript(browser, address) {
  const { context, page } = await visitor(browser, address, { javaScriptEnabled: false });
  await look(page, address, "/try");
  for (const message of ["Habari?", "Mahindi <b>ni</b> nini?"]) {
    await page.fill("textarea", message);
    await page.click("form.ask button");
    const said = await page.locator("li.user .plain").last().textContent();
    check(said === message, "what was said is shown as it was said", said);
    check((await page.locator("li.assistant .plain").last().textContent()).length > 0, "the model has answered");
  }
  check((await page.locator("ol.chat li").count()) === 4, "the chat goes on from page to page");
  await picture(page, "chat-without-script");
  await look(page, address, "/try/ask");
  await page.fill("textarea", "Mahindi hukaushwa vipi kabla ya kuhifadhiwa?");
  await page.click("form.ask button");
  await page.locator(".answer blockquote a, .answer .plain a").first().click();
  check((await page.locator(".list li:target").count()) === 1, "a statement leads to its passage");
  await picture(page, "ask");
  await page.locator(".list h4 a").first().click();
  check((await page.locator("mark#here").count()) === 1, "a passage opens in its document");
  await look(page, address, "/data/documents");
  await page.click(".list a");
  const path = new URL(page.url()).pathname;
  await page.goto(`${address}${path}?from=100&to=220#here`);
  const box = await page.locator("mark#here").boundingBox();
  check(box && box.y >= 0 && box.y < 900, "a passage is in sight when it is opened", JSON.stringify(box));
  await picture(page, "passage");
  await look(page, address, "/data/dropped");
  const reason = await page.locator("select option").nth(1).getAttribute("value");
  await page.selectOption("select", reason);
  await page.click(".choose button");
  check(new URL(page.url()).searchParams.get("reason") === reason, "a list can be narrowed");
  await context.close();
  told("without a script: chat, passage, lists");
}

async function byKeyboard(browser, address) {
  const { context, page } = await visitor(browser, address);
  for (const path of ROOMS) {
    await look(page, address, path);
    await page.keyboard.press("Tab");
    check(await page.evaluate(() => document.activeElement.classList.contains("skip")), `${path}: first comes the way in`);
    await page.keyboard.press("Enter");
    check(await page.evaluate(() => document.activeElement.id === "main"), `${path}: it leads to the content`);
    await look(page, address, path);
    const focusable = await page.evaluate(
      () => [...document.querySelectorAll("a[href], button, textarea, select, summary, input:not([type=hidden])")]
        .filter((one) => one.checkVisibility()).length,
    );
    const seen = new Set();
    for (let at = 0; at < focusable; at += 1) {
      await page.keyboard.press("Tab");
      const now = await page.evaluate(() => {
        const active = document.activeElement;
        active.dataset.at ||= String(Math.random());
        const style = getComputedStyle(active);
        return { at: active.dataset.at, name: active.outerHTML.slice(0, 80), ring: style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2 };
      });
      seen.add(now.at);
      check(now.ring, `${path}: focus shows`, now.name);
    }
    check(seen.size === focusable, `${path}: all can be reached by keyboard`, `${seen.size} of ${focusable}`);
  }
  await look(page, address, "/try");
  await page.focus("textarea");
  await page.keyboard.type("Habari?");
  await page.keyboard.press("Enter");
  await page.waitForFunction(() => document.querySelector("li.assistant .plain")?.textContent.length > 0);
  await context.close();
  told("by keyboard alone");
}

async function chat(browser, address) {
  const { context, page } = await visitor(browser, address);
  await look(page, address, "/try");
  const place = page.locator("li.assistant .plain").last();
  await page.evaluate(() => {
    window.changes = 0;
    const list = document.querySelector("ol.chat");
    const watcher = new MutationObserver((changes) => {
      window.changes += changes.filter((change) => change.target.closest?.("li.assistant .plain")).length;
    });
    watcher.observe(list, { childList: true, subtree: true });
  });
  await page.fill("textarea", "Niambie kuhusu mahindi <img src=x>");
  await page.click("form.ask button");
  const over = () => document.querySelector("li.assistant") && !document.querySelector("form.ask button").disabled;
  await page.waitForFunction(over);
  const pieces = await page.evaluate(() => window.changes);
  check(pieces > 3, "an answer comes piece by piece", String(pieces));
  check((await page.locator("li.user img").count()) === 0, "what was said is no HTML");
  check((await page.locator("input[name=assistant]").inputValue()) === (await place.textContent()), "the form keeps it");
  await examine(page, "a chat");
  await picture(page, "chat");
  await page.fill("textarea", "Na maharage?");
  await page.click("form.ask button");
  await page.waitForFunction(() => document.querySelectorAll("ol.chat li").length === 4);
  await page.evaluate(() => document.querySelector("#chat button.quiet").click());
  await page.waitForFunction(over);
  check((await page.locator("ol.chat li").count()) === 4, "a second question follows");
  await context.close();
  told("chat with a script");
}

// Somebody who has to sign in.
async function door(browser) {
  const place = join(mkdtempSync(join(tmpdir(), "kwaya-page-")), "door");
  cpSync(folder, place, { recursive: true });
  const token = execFileSync(kwaya, ["token", "add", "asha", place, "--role", "use"], { stdio: ["ignore", "pipe", "ignore"] });
  const { address, child } = await serve(place);
  const { context, page, watched } = await visitor(browser, address);
  watched.expected = ["401"];
  check((await page.goto(`${address}/try`)).status() === 401, "there is a door");
  await examine(page, "the door");
  await picture(page, "door");
  await page.fill("#token", "kwaya-00000000-1");
  await page.click("form.ask button");
  check(await page.locator("[role=alert]").isVisible(), "a wrong token is told");
  await page.fill("#token", token.toString().trim());
  await page.click("form.ask button");
  check(new URL(page.url()).pathname === "/try", "one comes to where one wanted");
  check((await page.locator("nav a[href='/data']").count()) === 0, "rooms of other roles are absent");
  await page.fill("textarea", "Habari?");
  await page.click("form.ask button");
  await page.waitForFunction(() => document.querySelector("li.assistant .plain")?.textContent.length > 0);
  check(true, "a script may ask the API with its mark");
  await examine(page, "a chat behind the door");
  await page.click("footer form button");
  check(await page.locator("#token").isVisible(), "one can go out");
  await context.close();
  child.kill();
  rmSync(place, { recursive: true });
  told("signing in and out");
}

// A training in another process, looked at while it goes on.
async function training(browser) {
  const place = join(mkdtempSync(join(tmpdir(), "kwaya-page-")), "training");
  cpSync(folder, place, { recursive: true });
  const { address, child } = await serve(place);
  const recipe = join(place, "kwaya.toml");
  writeFileSync(recipe, `${readFileSync(recipe, "utf8").replace(/\n\[train\][^[]*/, "\n")}\n[train]\nseed = 7\n`);
  execFileSync(kwaya, ["plan", place, "--within", "60s"], { stdio: "ignore" });
  const { context, page } = await visitor(browser, address);
  await look(page, address, "/training");
  check((await page.locator(".state.on").count()) === 0, "nothing is built yet");
  const build = spawn(kwaya, ["build", place], { stdio: "ignore" });
  const curves = new Set();
  const begun = Date.now();
  while (build.exitCode === null && curves.size < 3 && Date.now() - begun < 240_000) {
    if (!(await page.locator(".state.on").count())) await page.reload();
    const now = page.locator(".stages .now");
    if (await now.count()) curves.add(await page.locator("polyline.training").getAttribute("points"));
    await page.waitForTimeout(1000);
  }
  check(curves.size >= 3, "the curve grows while the page stays", String(curves.size));
  await examine(page, "a training that goes on");
  await picture(page, "training-now");
  build.kill("SIGINT");
  await new Promise((resolve) => (build.exitCode === null ? build.on("exit", resolve) : resolve()));
  await context.close();
  child.kill();
  rmSync(place, { recursive: true });
  told("a training that goes on");
}

async function errors(browser, address) {
  const { context, page, watched } = await visitor(browser, address, { locale: "sw" });
  watched.expected = ["404", "403"];
  check((await page.goto(`${address}/nothing`)).status() === 404, "what is not there is said");
  await examine(page, "an error");
  await picture(page, "error");
  await context.close();
  told("errors are pages");
}

if (!kwaya || !existsSync(join(folder ?? "", "build/model"))) {
  console.log("node check.mjs KWAYA FOLDER [PICTURES]: the program, and a folder with a finished build");
  process.exit(2);
}
if (pictures) mkdirSync(pictures, { recursive: true });
const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: ["--no-sandbox"] });
const { address, child } = await serve(folder);
child.removeAllListeners("exit");
try {
  await everyRoom(browser, address);
  await everyLanguage(browser, address);
  await withoutScript(browser, address);
  await byKeyboard(browser, address);
  await chat(browser, address);
  await errors(browser, address);
  await door(browser);
  await training(browser);
} finally {
  child.kill();
  await browser.close();
}
console.log(failures ? `${failures} of ${checks} checks failed` : `all ${checks} checks passed`);
process.exit(failures ? 1 : 0);
