/* SQL functions that PostgreSQL has and SQLite has not. */
#ifndef DALANG_FAKES_PUPPETDB_FUNCTIONS_H
#define DALANG_FAKES_PUPPETDB_FUNCTIONS_H

#include <sqlite3.h>
#include <stdbool.h>

/* Registers, for a connection:
 *   pdb_match(pattern, text)       PostgreSQL's text ~ pattern; an error "invalid regular expression: …" for a bad one
 *   pdb_any_match(pattern, array)  one text of the JSON array matches
 *   pdb_any_equal(text, array)     one text of the JSON array is the text
 *   pdb_path_match(patterns, path) JSON arrays, element by element (puppetdb.md §7.2)
 *   pdb_text(json)                 of a string its text, of anything else the JSON text; null for null
 *   pdb_at(json, path)             JSON text of what stands at the path (array of names and indexes), or null
 *   pdb_contains(json, json)       jsonb's @>
 *   pdb_compare(json, json)        jsonb's order: -1, 0, 1
 *   pdb_to_char(value, mask, time) PostgreSQL's to_char of milliseconds (time: 1) or of a number (0)
 *   pdb_time(ms)                   as row_to_json prints a time: 2026-11-20T22:30:04.17+00:00
 *   pdb_quote(text)                JSON string, "null" for null
 *   pdb_bool(flag)                 true, false or null as JSON text */
bool functions_register(sqlite3 *db);

#endif
