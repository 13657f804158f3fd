// Takes the picture of the list that the project's front page shows: node e2e/screenshot.mjs OUT.png [light|dark]
import { BASE_URL, launch } from './lib/browser.mjs';

const [out, theme = 'light'] = process.argv.slice(2);
if (!out) {
  console.log('usage: BASE_URL=http://127.0.0.1:8080 node e2e/screenshot.mjs OUT.png [light|dark]');
  process.exit(2);
}
const browser = await launch();
const page = await browser.newPage({
  viewport: { width: 1366, height: 800 },
  colorScheme: theme === 'dark' ? 'dark' : 'light',
});
await page.goto(`${BASE_URL}/`);
await page.locator('.row').first().waitFor();
await page.locator('.pill-live').waitFor();
await page.screenshot({ path: out });
await browser.close();
