// Package optics is the one definition that the spectrometer's program and the dashboard's share.
package optics

import "peermesh/api"

// Spectrometer and Dashboard are the two sides.
type (
	Spectrometer struct{}
	Dashboard    struct{}
)

// API is written from the spectrometer's side.
var API = api.Define[Spectrometer, Dashboard]("lab.spectrometer", "1.0.0", "A spectrometer.")

var (
	// Spectrum tells what was just measured. When a dashboard is slow, older ones are of no use.
	Spectrum = api.Outgoing[Spectral](API, "spectrum", "What was just measured.", api.DropOldest())
	// Expose sets how long each measurement takes light in.
	Expose = api.IncomingCall[Exposure, Exposure](API, "expose", "Set the time of exposure.")
)

// Spectral is one measurement.
type Spectral struct {
	Seq    int       `json:"seq"`
	From   float64   `json:"from" jsonschema:"wavelength of the first count, in nanometres"`
	Step   float64   `json:"step" jsonschema:"from one count to the next, in nanometres"`
	Counts []float64 `json:"counts" maxItems:"4096"`
}

// Exposure is a time of exposure.
type Exposure struct {
	MS int `json:"ms" jsonschema:"milliseconds" minimum:"1" maximum:"100"`
}
