// Drives the portal in headless Chromium and prints what it found as JSON: {check: [problem, ...]}.
// Usage: node drive.js SETTINGS, with {url, email, password, viewer, device, modules, shots}.
"use strict";
const fs = require("fs");
const path = require("path");
const settings = JSON.parse(process.argv[2]);
const { chromium } = require(path.join(settings.modules, "playwright-core"));
const axe = fs.readFileSync(path.join(settings.modules, "axe-core", "axe.min.js"), "utf8");

const found = {};
const noise = [];
const PAGES = ["/", "/reports", "/messages", "/fleet", "/integrations", "/coverage"];

async function check(name, run) {
  const problems = (found[name] = []);
  noise.length = 0;
  try {
    await run((good, text) => good || problems.push(text));
  } catch (fault) {
    problems.push(String(fault.message || fault).split("\n").slice(0, 4).join(" | "));
  }
  problems.push(...noise);
}

async function log_in(page, email) {
  await page.goto(settings.url + "/login");
  await page.getByLabel("E-mail address").fill(email);
  await page.getByLabel("Password").fill(settings.password);
  await page.getByRole("button", { name: "Log in" }).click();
  await page.waitForURL(settings.url + "/");
}

function listen(page) {
  page.on("console", (m) => ["error", "warning"].includes(m.type()) && noise.push(`console: ${m.text()}`));
  page.on("pageerror", (fault) => noise.push(`page error: ${fault.message}`));
  page.on("request", (r) => r.url().startsWith(settings.url) || r.url().startsWith("blob:") || noise.push(`asked elsewhere: ${r.url()}`));
}

async function open(context, email) {
  const page = await context.newPage();
  listen(page);
  await log_in(page, email || settings.email);
  return page;
}

const shoot = (page, name) => (settings.shots ? page.screenshot({ path: path.join(settings.shots, name + ".png"), fullPage: true }) : null);

async function first_message(page) {
  await page.goto(settings.url + "/messages?type=ai.tool");
  return page.locator("tbody th a").first().getAttribute("href");
}

async function main() {
  const browser = await chromium.launch({ executablePath: settings.chromium, headless: true, args: [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage"] });
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, locale: "en-GB" });
  const page = await open(context);
  const pages = [...PAGES, await first_message(page), `/fleet/${settings.device}`];

  await check("click path", async (expect) => {
    await page.goto(settings.url + "/");
    for (const [link, title] of [["Reports", "Reports"], ["Messages", "Messages"], ["Fleet", "Fleet"], ["Overview", "Overview"]]) {
      await page.getByRole("navigation", { name: "Pages" }).getByRole("link", { name: link }).click();
      expect((await page.getByRole("heading", { level: 1 }).textContent()) === title, `${link} does not lead to ${title}`);
      expect((await page.locator("nav [aria-current=page]").textContent()) === link, `${link} is not marked`);
    }
    await page.getByRole("link", { name: "7 days", exact: true }).click();
    expect(page.url().includes("days=7"), "the days are not in the URL");
    await page.getByRole("combobox", { name: /^Model/ }).selectOption({ index: 1 });
    await page.getByRole("button", { name: "Show" }).click();
    expect(/model=[^&]/.test(page.url()), "the filter is not in the URL");
    expect((await page.locator("#models tbody tr").count()) === 1, "the model filter shows other models");
    await page.goto(settings.url + "/messages?type=ai.tool");
    await page.locator("tbody th a").first().click();
    expect(await page.locator(".tree [aria-current]").count() === 1, "the message is not marked in its tree");
    expect(await page.locator(".tree ul ul li").count() > 0, "the tree has no third level");
  });

  await check("charts", async (expect) => {
    await page.goto(settings.url + "/");
    const charts = await page.locator("figure.chart").count();
    expect(charts === 3, `${charts} charts`);
    if (settings.charts)
      expect(await page.locator("figure.chart canvas").count() === charts, "a chart is not drawn");
    const rows = await page.locator("#days tbody tr").count();
    expect(rows === 30, `the table beside the charts has ${rows} days`);
  });

  await check("pages of older messages", async (expect) => {
    await page.goto(settings.url + "/messages");
    const seen = new Set();
    for (let i = 0; i < 3; i++) {
      for (const link of await page.locator("tbody th a").all()) {
        const id = await link.getAttribute("href");
        expect(!seen.has(id), `${id} is shown twice`);
        seen.add(id);
      }
      await page.getByRole("link", { name: "Older messages" }).click();
    }
    expect(seen.size === 150, `${seen.size} messages on three pages`);
  });

  await check("doctor", async (expect) => {
    await page.goto(settings.url + "/fleet");
    await page.getByLabel("Host or owner").fill("ADA-");
    await page.getByRole("button", { name: "Find" }).click();
    await page.locator("tbody th a").first().click();
    await page.getByRole("button", { name: "Run doctor" }).click();
    expect((await page.getByRole("status").textContent()).includes("next heartbeat"), "nothing says what happens next");
  });

  await check("names", async (expect) => {
    await page.goto(settings.url + "/?names=pseudonymous");
    const text = await page.locator("#people").textContent();
    expect(!text.includes("@") && text.includes("person "), "the pseudonymous page names people");
    await page.goto(settings.url + "/reports?names=cohorts");
    expect(await page.locator("#people").count() === 0, "the report in cohorts has a sheet by person");
    for (const cell of await page.locator("#teams tbody tr td:last-child").all())
      expect(Number(await cell.textContent()) >= 5, "a team of fewer than five is shown");
    const other = await browser.newContext();
    const viewer = await open(other, settings.viewer);
    expect(!(await viewer.locator("main").innerHTML()).includes("@example.com"), "a viewer sees an address");
    expect(await viewer.getByRole("link", { name: "Messages" }).count() === 0, "a viewer is led to messages");
    await other.close();
  });

  for (const scheme of ["light", "dark"])
    await check(`accessible, ${scheme}`, async (expect) => {
      await page.emulateMedia({ colorScheme: scheme });
      for (const where of pages) {
        await page.goto(settings.url + where);
        await page.locator("details").evaluateAll((all) => all.forEach((one) => (one.open = true)));
        await page.evaluate(axe);
        const result = await page.evaluate(() => axe.run(document, { resultTypes: ["violations"] }));
        for (const fault of result.violations)
          expect(false, `${where}: ${fault.id}: ${fault.nodes.slice(0, 2).map((n) => n.html.slice(0, 160)).join(" ; ")}`);
        await shoot(page, `${scheme}-${pages.indexOf(where)}`);
      }
    });

  await check("dark is dark", async (expect) => {
    const ground = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor.match(/\d+/g).reduce((a, b) => a + Number(b), 0));
    await page.goto(settings.url + "/");
    await page.emulateMedia({ colorScheme: "dark" });
    const dark = await ground();
    await page.emulateMedia({ colorScheme: "light" });
    expect(dark < 150 && (await ground()) > 600, "the ground does not follow the colour scheme");
  });

  for (const width of [320, 768, 3840])
    await check(`${width} wide`, async (expect) => {
      await page.setViewportSize({ width, height: 900 });
      for (const where of pages) {
        await page.goto(settings.url + where);
        const over = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
        expect(over <= 0, `${where} is ${over} px too wide`);
        await shoot(page, `${width}-${pages.indexOf(where)}`);
      }
      await page.setViewportSize({ width: 1280, height: 900 });
    });

  await check("keyboard alone", async (expect) => {
    const other = await browser.newContext({ viewport: { width: 1280, height: 900 } });
    const typed = await other.newPage();
    listen(typed);
    await typed.goto(settings.url + "/login");
    await typed.keyboard.type(settings.email);
    await typed.keyboard.press("Tab");
    await typed.keyboard.type(settings.password);
    await typed.keyboard.press("Enter");
    await typed.waitForURL(settings.url + "/");
    const focused = () => typed.evaluate(() => document.activeElement.textContent.trim() || document.activeElement.name || "");
    await typed.keyboard.press("Tab");
    expect((await focused()) === "Skip to content", "the first stop is not the skip link");
    const ring = await typed.evaluate(() => getComputedStyle(document.activeElement).outlineStyle);
    expect(ring !== "none", "the focus cannot be seen");
    let stops = 0;
    while ((await focused()) !== "Messages" && stops++ < 10) await typed.keyboard.press("Tab");
    await typed.keyboard.press("Enter");
    await typed.waitForURL(settings.url + "/messages");
    await typed.keyboard.press("Tab");
    await typed.keyboard.press("Enter");
    expect(await typed.evaluate(() => document.activeElement.id) === "content", "the skip link does not skip");
    stops = 0;
    while (!(await focused()).match(/^\d{4}-\d\d-\d\d/) && stops++ < 40) await typed.keyboard.press("Tab");
    await typed.keyboard.press("Enter");
    await typed.waitForURL(/\/messages\/[0-9A-Z]{26}/);
    await other.close();
  });

  await check("without scripts", async (expect) => {
    const other = await browser.newContext({ javaScriptEnabled: false });
    const plain = await open(other);
    for (const where of pages) {
      const answer = await plain.goto(settings.url + where);
      expect(answer.status() === 200, `${where}: ${answer.status()}`);
    }
    await plain.goto(settings.url + "/");
    expect(await plain.locator("figure.chart svg.columns rect").count() === 90, "no plain columns");
    await plain.getByRole("button", { name: "Log out" }).click();
    expect(plain.url() === settings.url + "/login", "logging out does not lead to the login");
    await other.close();
  });

  await browser.close();
  console.log(JSON.stringify(found));
}

main().catch((fault) => {
  console.error(fault.stack);
  process.exit(1);
});
