// The same with a real browser: node browser.mjs URL USER CERT.pem. Headless Chromium trusts the provider's certificate by its key
// and resolves no name but localhost.
import crypto from 'node:crypto';
import fs from 'node:fs';
import os from 'node:os';
import { chromium } from 'playwright-core';

const [, , url, user, pem] = process.argv;
const spki = new crypto.X509Certificate(fs.readFileSync(pem)).publicKey.export({ type: 'spki', format: 'der' });
const pin = crypto.createHash('sha256').update(spki).digest('base64');
const profile = fs.mkdtempSync(`${process.env.RIG || os.tmpdir()}/chromium-`);
const context = await chromium.launchPersistentContext(profile, { executablePath: '/usr/bin/chromium', headless: true, timeout: 15000,
  args: ['--no-sandbox', `--ignore-certificate-errors-spki-list=${pin}`, '--disable-background-networking',
    '--disable-component-update', '--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE localhost'] });
try {
  const page = await context.newPage();
  page.setDefaultTimeout(10000);
  await page.goto(url);
  await page.waitForSelector('button[autofocus]');
  console.log(`code: ${await page.textContent('code')}`);
  console.log(`asked: ${await page.textContent('#asked')}`);
  await page.click('button[autofocus]');
  await page.fill('input[name=login]', user);
  await page.fill('input[name=password]', 'x');
  await page.click('button[type=submit]');
  await page.waitForSelector('text=Authorize');
  await page.click('button[type=submit]');
  await page.waitForSelector('text=Sign-in Success');
  console.log(`number: ${await page.textContent('#number')}`);
} finally {
  await context.close();
  fs.rmSync(profile, { recursive: true, force: true });
}
