// Package chromium has nothing in it but tests, of the page of the folder above in a real browser.
package chromium
