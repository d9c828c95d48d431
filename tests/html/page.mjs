// node page.mjs ORDER FILE...: opens pages as a reader would, in headless Chromium without a network, and says as one JSON object
// what happened. ORDER: {"shot": PNG, "dark": true, "chapter": N, "cast": true}: files are asciicasts, played by a bare page instead.
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { chromium } from 'playwright-core';

const order = JSON.parse(process.argv[2]);
const files = process.argv.slice(3);
const profile = fs.mkdtempSync(path.join(process.env.RIG || os.tmpdir(), 'chromium-'));
const context = await chromium.launchPersistentContext(profile, { executablePath: '/usr/bin/chromium', headless: true, timeout: 30000,
  colorScheme: order.dark ? 'dark' : 'light', viewport: { width: 1000, height: 900 },
  args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
    '--disable-component-update', '--disable-sync', '--host-resolver-rules=MAP * ~NOTFOUND'] });

// A page around the player and a cast, for asciicasts that are files of their own.
function around(file) {
  const dir = process.env.PLAYER;
  const read = (name) => fs.readFileSync(path.join(dir, name), 'utf8');
  const cast = JSON.stringify(fs.readFileSync(file, 'utf8')).replaceAll('<', '\\u003c');
  const html = `<!DOCTYPE html><meta charset="utf-8"><style>${read('asciinema-player.css')}</style><div id="player"></div>
<script>${read('asciinema-player.min.js')}</script><script>
const place = document.getElementById('player');
const player = AsciinemaPlayer.create({ data: ${cast} }, place, { preload: true });
for (const s of ['playing', 'pause', 'ended']) player.addEventListener(s, () => { place.dataset.state = s; });
</script>`;
  const out = path.join(profile, path.basename(file) + '.html');
  fs.writeFileSync(out, html);
  return out;
}

async function look(file) {
  const page = await context.newPage();
  const seen = { requests: [], violations: [], errors: [], dialogs: [] };
  page.setDefaultTimeout(20000);
  page.on('request', (r) => { if (!/^(data|blob):/.test(r.url())) seen.requests.push(r.url()); });
  page.on('pageerror', (e) => seen.errors.push(String(e)));
  page.on('console', (m) => { if (m.type() === 'error') seen.errors.push(m.text()); });
  page.on('dialog', (d) => { seen.dialogs.push(d.message()); d.dismiss(); });
  await page.exposeFunction('violated', (what) => seen.violations.push(what));
  await page.addInitScript(() => document.addEventListener('securitypolicyviolation',
    (e) => window.violated(`${e.violatedDirective} ${e.blockedURI}`)));
  await page.goto(pathToFileURL(file).href);
  await page.waitForSelector('.ap-term');
  if (order.chapter !== undefined) {
    await page.locator('#chapters button').nth(order.chapter).focus();
    await page.keyboard.press('Enter');
    await page.waitForSelector('#chapters button[aria-current=true]');
  }
  // By the keyboard alone, as the player's help says.
  await page.locator('pre.ap-term-text').focus();
  await page.keyboard.press('Space');
  await page.waitForSelector('#player[data-state=ended]');
  const text = () => page.locator('pre.ap-term-text').evaluate((pre) =>
    Array.from(pre.querySelectorAll('.ap-line'), (l) => l.textContent.replace(/\s+$/, '')));
  seen.lines = await text();
  seen.title = await page.title();
  seen.facts = await page.locator('#facts tr').evaluateAll((rows) => Object.fromEntries(rows.map((r) =>
    [r.cells[0].textContent, r.cells[1].textContent])));
  seen.chapters = await page.locator('#chapters button').evaluateAll((all) => all.map((b) => b.textContent));
  seen.elements = await page.evaluate(() => ({ img: document.images.length, a: document.links.length,
    iframe: document.querySelectorAll('iframe,object,embed,form').length, script: document.scripts.length }));
  seen.marks = await page.evaluate(() => Object.keys(window).filter((k) => k.startsWith('pwned')));
  seen.requests = seen.requests.filter((u) => u !== pathToFileURL(file).href);
  if (order.shot) await page.screenshot({ path: order.shot, fullPage: true });
  await page.emulateMedia({ media: 'print' });
  seen.printed = { index: await page.locator('#chapters').isVisible().catch(() => false),
    facts: await page.locator('#facts').isVisible().catch(() => false),
    bar: await page.locator('.ap-control-bar').isVisible().catch(() => false) };
  if (order.print) await page.pdf({ path: order.print });
  await page.close();
  return seen;
}

try {
  const all = [];
  for (const file of files) all.push(await look(order.cast ? around(file) : path.resolve(file)));
  console.log(JSON.stringify(files.length === 1 ? all[0] : all));
} finally {
  await context.close();
  fs.rmSync(profile, { recursive: true, force: true });
}
