// Sending pictures: made smaller first, with progress.

import { Problem, sessionEnded, token, Unreachable } from './api.js';

const BASE = '/api/v1';
const TIMEOUT_MS = 60_000;
/** What the service takes at most, per picture. */
export const LARGEST_BYTES = 5 * 1024 * 1024;
/** The service keeps no more pixels than this; sending them would only take time. */
const LARGEST_SIDE = 2048;
/** Smaller files are sent as they are. */
const WORTH_SHRINKING_BYTES = 600 * 1024;
const QUALITY = 0.87;

/** Formats by their first bytes: the name of a file proves nothing. */
async function format(file) {
  const bytes = new Uint8Array(await file.slice(0, 12).arrayBuffer());
  const text = String.fromCharCode(...bytes);
  if (text.startsWith('\xff\xd8\xff')) return 'jpeg';
  if (text.startsWith('\x89PNG')) return 'png';
  if (text.startsWith('RIFF') && text.slice(8) === 'WEBP') return 'webp';
  if (text.startsWith('GIF8')) return 'gif';
  if (/ftyp(heic|heix|hevc|mif1|msf1)/.test(text.slice(4))) return 'heic';
  return null;
}

/** What is wrong with a file, as a sentence, or ''. */
export async function fault(file) {
  const kind = await format(file);
  if (kind === null) return `“${file.name}” is not a picture. Use JPEG, PNG or WebP.`;
  if (kind === 'gif' || kind === 'heic') return `${kind.toUpperCase()} pictures are not taken. Use JPEG, PNG or WebP.`;
  return '';
}

/** The picture with at most `side` pixels a side. Unchanged if it is small or cannot be read here. */
export async function shrink(file, side = LARGEST_SIDE) {
  let bitmap;
  try {
    bitmap = await createImageBitmap(file);
  } catch {
    return file;
  }
  try {
    const scale = Math.min(1, side / Math.max(bitmap.width, bitmap.height));
    if (scale === 1 && file.size <= WORTH_SHRINKING_BYTES) return file;
    const canvas = new OffscreenCanvas(Math.max(1, Math.round(bitmap.width * scale)), Math.max(1, Math.round(bitmap.height * scale)));
    const context = canvas.getContext('2d');
    // JPEG knows no transparency: what shows through is paper, not black.
    context.fillStyle = '#fff';
    context.fillRect(0, 0, canvas.width, canvas.height);
    context.imageSmoothingQuality = 'high';
    context.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
    const blob = await canvas.convertToBlob({ type: 'image/jpeg', quality: QUALITY });
    return blob.size < file.size ? blob : file;
  } finally {
    bitmap.close();
  }
}

/** A form with files. `progress` hears of 0 to 1; `fetch` cannot tell how much is sent. */
export function send(method, path, form, progress, signal) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open(method, BASE + path);
    request.timeout = TIMEOUT_MS;
    request.setRequestHeader('accept', 'application/json');
    if (token()) request.setRequestHeader('authorization', `Bearer ${token()}`);
    request.upload.addEventListener('progress', (event) => { if (event.lengthComputable) progress(event.loaded / event.total); });
    request.addEventListener('load', () => {
      let body = null;
      try {
        body = JSON.parse(request.responseText);
      } catch {
        // No JSON: the status says it all.
      }
      if (request.status >= 200 && request.status < 300) return resolve(body);
      if (request.status === 401) sessionEnded();
      return reject(new Problem(request.status, body));
    });
    for (const event of ['error', 'timeout', 'abort']) request.addEventListener(event, () => reject(new Unreachable()));
    signal?.addEventListener('abort', () => request.abort());
    request.send(form);
  });
}
