import { assert, focused, textMatches } from '../lib/assert.mjs';
import { openList, row } from '../lib/list.mjs';
import { addWebsite, RUN } from '../lib/server.mjs';
import { startTarget } from '../lib/target.mjs';
import { test } from '../lib/test.mjs';

/** Tabs on until the focus is where a predicate in the page says; a trap would end this with an error. */
async function tabTo(page, locator, most = 80) {
  const wanted = await locator.elementHandle();
  for (let step = 0; step < most; step += 1) {
    await page.keyboard.press('Tab');
    if (await page.evaluate((element) => document.activeElement === element, wanted)) return;
  }
  throw new Error(`not reached with ${most} tabs: ${locator}`);
}

test('the whole way by keyboard: skip, search, open, add, check, save', async ({ page, url }) => {
  const target = await startTarget();
  try {
    const { name } = await addWebsite('by keys', target.url);
    await openList(page, url);
    await textMatches(page.locator('.verdict-text'), /./);

    await page.keyboard.press('Tab');
    await focused(page.getByRole('link', { name: 'Skip to content' }));
    await page.keyboard.press('Enter');
    await focused(page.locator('main'));

    await page.keyboard.press('/');
    await focused(page.getByRole('searchbox'));
    await page.keyboard.type(name);
    await textMatches(row(page, name), /Healthy/);
    await tabTo(page, page.getByRole('link', { name, exact: true }));
    await page.keyboard.press('Enter');
    await focused(page.getByRole('heading', { level: 1, name, exact: true }));

    await page.keyboard.press('?');
    await page.getByRole('dialog', { name: 'Keyboard shortcuts' }).waitFor();
    await page.keyboard.press('Escape');
    await page.getByRole('dialog').waitFor({ state: 'detached' });

    await page.keyboard.press('g');
    await page.keyboard.press('a');
    await focused(page.getByRole('heading', { level: 1, name: 'Add a monitor' }));
    await tabTo(page, page.getByRole('textbox', { name: /^URL|^Address/ }));
    await page.keyboard.type(target.url);
    await tabTo(page, page.getByRole('textbox', { name: /^Name/ }));
    await page.keyboard.press('Control+A');
    await page.keyboard.type(`${RUN} typed?`);
    await tabTo(page, page.getByRole('button', { name: 'Check now' }));
    await page.keyboard.press('Enter');
    await textMatches(page.locator('.check-status'), /Healthy/);
    await page.getByRole('textbox', { name: /^Name/ }).focus();
    await page.keyboard.press('Enter');
    await page.getByRole('heading', { level: 1, name: `${RUN} typed?` }).waitFor();
    assert.match(await page.title(), /typed\?/);
  } finally {
    await target.stop();
  }
});

test('n and p go from problem to problem, unless they are switched off', async ({ page, url }) => {
  const target = await startTarget();
  try {
    await target.down();
    const { name } = await addWebsite('jumped to', target.url);
    await openList(page, url, name);
    await textMatches(row(page, name), /Down/);
    await page.keyboard.press('n');
    await focused(page.getByRole('link', { name, exact: true }));
    await page.keyboard.press('?');
    await page.getByRole('checkbox', { name: 'Single-key shortcuts' }).uncheck();
    await page.keyboard.press('Escape');
    await page.keyboard.press('/');
    assert.equal(await page.evaluate(() => document.activeElement?.matches('input[type=search]')), false);
  } finally {
    await target.stop();
  }
});
