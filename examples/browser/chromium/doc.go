// Package chromium has nothing in it but tests, of the page of the folder above and that of the dashboard in a real
// browser.
package chromium
