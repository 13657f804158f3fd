import assert from 'node:assert/strict';

export { assert };

/** Waits until the text of something matches; the locator may be replaced while the page is live. */
export async function textMatches(locator, pattern) {
  try {
    await locator.filter({ hasText: pattern }).first().waitFor();
  } catch (error) {
    const found = await locator.allInnerTexts().catch(() => []);
    throw new Error(`nothing matched ${pattern}; found ${JSON.stringify(found)}`, { cause: error });
  }
}

/** Waits until the focus is on what a locator names. */
export async function focused(locator) {
  const element = await locator.elementHandle();
  await locator.page().waitForFunction((wanted) => document.activeElement === wanted, element);
}
