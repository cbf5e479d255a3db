#!/bin/sh
# Makes the office files from the three flat ones with LibreOffice (7.4 made these).
# Their text is Kwaya's own.
set -e
cd "$(dirname "$0")"
convert() { soffice --headless --convert-to "$2" "$1" > /dev/null; }
for to in odt docx rtf doc; do convert text.fodt $to; done
for to in ods xlsx xls; do convert sheet.fods $to; done
for to in odp pptx; do convert slides.fodp $to; done
