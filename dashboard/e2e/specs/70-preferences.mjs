import { assert, textMatches } from '../lib/assert.mjs';
import { addWebsite } from '../lib/server.mjs';
import { startTarget } from '../lib/target.mjs';
import { test } from '../lib/test.mjs';

test('theme and time zone are chosen once and stay', async ({ page, url }) => {
  const target = await startTarget();
  try {
    const { id } = await addWebsite('preferred', target.url);
    await page.goto(url(`/monitors/${id}`));
    const background = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
    const light = await background();
    await page.getByRole('button', { name: 'Preferences' }).click();
    await page.getByRole('radio', { name: 'Dark' }).check();
    assert.notEqual(await background(), light);
    await page.getByRole('combobox', { name: 'Time zone' }).selectOption('America/New_York');
    await textMatches(page.locator('.range-text'), /E[SD]T \(UTC−0[45]:00\)/);
    await page.reload();
    await textMatches(page.locator('.range-text'), /E[SD]T/);
    assert.notEqual(await background(), light);
  } finally {
    await target.stop();
  }
});

test(
  'who asks for less motion gets none',
  async ({ page, url }) => {
    await page.goto(url('/monitors/new'));
    await page.locator('summary').first().waitFor();
    const moving = await page.evaluate(
      () => document.getAnimations().filter((it) => it.playState === 'running').length,
    );
    assert.equal(moving, 0);
  },
  { context: { reducedMotion: 'reduce' } },
);
