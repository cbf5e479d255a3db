"""Makes picture.png and scan.pdf, a line of text as a picture, with Pillow (13.0 made these).

And with qpdf: qpdf --encrypt secret owner 256 -- scan.pdf password.pdf
"""

import pathlib

from PIL import Image, ImageDraw, ImageFont

here = pathlib.Path(__file__).parent
image = Image.new("L", (900, 220), 255)
font = ImageFont.truetype("DejaVuSans.ttf", 40)
ImageDraw.Draw(image).text((30, 40), "Mahindi huvunwa yakikauka\nshambani wakati wa kiangazi.", font=font, fill=0, spacing=20)
image.convert("1").save(here / "picture.png", optimize=True)
image.save(here / "scan.pdf", resolution=150, quality=40)
