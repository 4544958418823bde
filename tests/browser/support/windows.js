/** The windows that the console is looked at in: a phone and a desktop, light and dark, one that is magnified, one that is narrow. */
const PHONE = { viewport: { width: 360, height: 740 }, isMobile: true, hasTouch: true };
const DESKTOP = { viewport: { width: 1280, height: 860 } };

export const WINDOWS = {
  'phone-light': { ...PHONE, colorScheme: 'light' },
  'phone-dark': { ...PHONE, colorScheme: 'dark' },
  'desktop-light': { ...DESKTOP, colorScheme: 'light' },
  'desktop-dark': { ...DESKTOP, colorScheme: 'dark' },
};

/** What browsers make of a window at 200 %, and the narrowest of WCAG 2.2, 1.4.10 (1,280 pixels at 400 %). */
export const MAGNIFIED = {
  'zoom-200': { viewport: { width: 640, height: 430 }, deviceScaleFactor: 2 },
  'zoom-400': { viewport: { width: 320, height: 256 }, deviceScaleFactor: 4 },
};

export { PHONE, DESKTOP };
