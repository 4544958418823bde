/** A camera in front of the screen: the picture of the page that a person sees, and somebody else's decoder. */
import jsQR from 'jsqr';

/** What a camera reads that is held at the code on the screen, with what is around it. */
export async function scan(page) {
  await page.bringToFront();
  await page.locator('.qr').scrollIntoViewIfNeeded();
  const { x, y, width: across, height: down } = await page.locator('.qr').boundingBox();
  const picture = await page.screenshot({ animations: 'disabled', clip: { x: x - 10, y: y - 10, width: across + 20, height: down + 20 } });
  // The browser is the decoder of PNGs that is at hand.
  const { data, width, height } = await page.context().browser().newPage().then(async (blank) => {
    try {
      return await blank.evaluate(async (base64) => {
        const image = new Image();
        image.src = `data:image/png;base64,${base64}`;
        await image.decode();
        const canvas = Object.assign(document.createElement('canvas'), { width: image.width, height: image.height });
        const context = canvas.getContext('2d');
        context.drawImage(image, 0, 0);
        return { data: [...context.getImageData(0, 0, image.width, image.height).data], width: image.width, height: image.height };
      }, picture.toString('base64'));
    } finally {
      await blank.close();
    }
  });
  return jsQR(Uint8ClampedArray.from(data), width, height)?.data;
}
