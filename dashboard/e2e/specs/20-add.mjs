import { assert, focused, textMatches } from '../lib/assert.mjs';
import { RUN } from '../lib/server.mjs';
import { startTarget } from '../lib/target.mjs';
import { test } from '../lib/test.mjs';

test(
  'a website is added through the form, with its mistakes and a check before saving',
  async ({ page, url }) => {
    const target = await startTarget();
    try {
      await page.goto(url('/monitors/new'));
      await page.getByRole('heading', { level: 1, name: 'Add a monitor' }).waitFor();
      const address = page.getByRole('textbox', { name: /^URL|^Address/ });
      const name = page.getByRole('textbox', { name: /^Name/ });

      // Nothing is filled in: the form itself knows, and goes to the first field that is wrong.
      await page.getByRole('button', { name: 'Add monitor' }).click();
      await focused(address);
      assert.equal(await address.getAttribute('aria-invalid'), 'true');
      const described = await address.getAttribute('aria-describedby');
      const message = page.locator(`[id="${described.split(' ').at(-1)}"]`);
      await textMatches(message, /^Needed/);

      // The name follows from the address.
      await address.fill(target.url);
      assert.match(await name.inputValue(), /^127\.0\.0\.1:\d+$/);
      await name.fill(`${RUN} added`);

      // Only the server knows that this is too short. Its section is folded, and opens.
      await page.locator('summary', { hasText: 'Schedule' }).click();
      const interval = page.getByRole('textbox', { name: 'Check every' });
      await interval.fill('100ms');
      await page.locator('summary', { hasText: 'Schedule' }).click();
      await page.getByRole('button', { name: 'Add monitor' }).click();
      await focused(interval);
      assert.equal(await interval.getAttribute('aria-invalid'), 'true');
      await interval.fill('2s');
      assert.equal(await interval.getAttribute('aria-invalid'), 'false');

      await page.getByRole('button', { name: 'Check now' }).click();
      const check = page.getByRole('region', { name: 'Try it' });
      await textMatches(check.locator('.check-status'), /Healthy/);
      await check.getByRole('heading', { name: /^Phases/ }).waitFor();
      await textMatches(check, /all is well/);

      await page.getByRole('button', { name: 'Add monitor' }).click();
      await page.getByRole('heading', { level: 1, name: `${RUN} added` }).waitFor();
      await focused(page.getByRole('heading', { level: 1 }));
      await textMatches(page.locator('.monitor-state'), /^Healthy/);
    } finally {
      await target.stop();
    }
  },
  { expect: [/status of 422/] },
);

test('what was typed is not lost without a question', async ({ page, url }) => {
  await page.goto(url('/monitors/new'));
  await page.getByRole('textbox', { name: /^URL|^Address/ }).fill('https://example.com/');
  await page.getByRole('link', { name: 'Cancel' }).click();
  await page.getByRole('dialog', { name: 'Leave without saving?' }).waitFor();
  await page.getByRole('button', { name: 'Stay' }).click();
  assert.match(page.url(), /\/monitors\/new$/);
  await page.getByRole('link', { name: 'Cancel' }).click();
  await page.getByRole('button', { name: 'Leave' }).click();
  await page.getByRole('heading', { level: 1, name: 'Monitors' }).waitFor();
});
