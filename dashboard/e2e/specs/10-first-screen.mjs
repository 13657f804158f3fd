import { assert } from '../lib/assert.mjs';
import { test } from '../lib/test.mjs';

test('the first screen shows the verdict, or how to begin', async ({ page, url }) => {
  await page.goto(url('/'));
  await page.getByRole('heading', { level: 1, name: 'Monitors' }).waitFor();
  await page.locator('.verdict-text, .empty').first().waitFor();
  await page.getByText('Live', { exact: true }).waitFor();
  assert.match(await page.title(), /Monitors · wise-monitoring$/);
});

test('/dashboard is the list too', async ({ page, url }) => {
  await page.goto(url('/dashboard'));
  await page.getByRole('heading', { level: 1, name: 'Monitors' }).waitFor();
});

test('an address that leads nowhere says so and leads back', async ({ page, url }) => {
  await page.goto(url('/galaxy/far/away'));
  await page.getByRole('heading', { level: 1, name: 'Page not found' }).waitFor();
  await page.getByRole('link', { name: 'To the monitors' }).click();
  await page.getByRole('heading', { level: 1, name: 'Monitors' }).waitFor();
  assert.equal(new URL(page.url()).pathname, '/');
});

test(
  'a monitor that does not exist is said not to',
  async ({ page, url }) => {
    await page.goto(url('/monitors/01900000-0000-7000-8000-000000000000'));
    await page.getByRole('heading', { level: 1, name: 'No such monitor' }).waitFor();
  },
  { expect: [/status of 404/] },
);
