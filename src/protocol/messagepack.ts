import { Packr } from 'msgpackr';

/** MessagePack as all our bytes are written: plain maps, no msgpackr records, so that any MessagePack library reads them. */
export const packr = new Packr({ useRecords: false, mapsAsObjects: true, int64AsType: 'number' });
