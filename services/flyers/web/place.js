// Where the visitor is: asked for when needed, remembered for five minutes.

const KEY = 'flyers.place';
const KEPT_MS = 5 * 60_000;
const WAIT_MS = 10_000;
/** How long the first list may wait for a place that the visitor has allowed before. */
const WAIT_AT_START_MS = 600;

let place = restore();

function restore() {
  try {
    const stored = JSON.parse(sessionStorage.getItem(KEY));
    return stored && Date.now() - stored.at < KEPT_MS ? stored : null;
  } catch {
    return null;
  }
}

/** The place if it is known and not too old: `{lat, lng}`. */
export function known() {
  return place && Date.now() - place.at < KEPT_MS ? { lat: place.lat, lng: place.lng } : null;
}

/** Asks for the place. Rejects with a sentence that says why there is none. */
export function locate() {
  const here = known();
  if (here) return Promise.resolve(here);
  if (!navigator.geolocation) return Promise.reject(new Error('This browser does not tell where you are.'));
  return new Promise((resolve, reject) => {
    navigator.geolocation.getCurrentPosition(
      ({ coords }) => {
        const six = (degrees) => Number(degrees.toFixed(6));
        place = { lat: six(coords.latitude), lng: six(coords.longitude), at: Date.now() };
        sessionStorage.setItem(KEY, JSON.stringify(place));
        resolve(known());
      },
      ({ code }) => reject(new Error(code === 1
        ? 'Allow this page to use your location to see what is near you.'
        : 'Your location cannot be found right now. Try again in a moment.')),
      { maximumAge: KEPT_MS, timeout: WAIT_MS },
    );
  });
}

/** The place, if the visitor allowed it before and it comes quickly; never asks. */
export async function quietly() {
  if (known()) return known();
  try {
    const permission = await navigator.permissions.query({ name: 'geolocation' });
    if (permission.state !== 'granted') return null;
    const late = new Promise((resolve) => { setTimeout(resolve, WAIT_AT_START_MS, null); });
    return await Promise.race([locate().catch(() => null), late]);
  } catch {
    return null;
  }
}
