"""The colours of all figures and pages: told apart by colour-blind people, and in grey (Okabe and Ito, 'Color Universal
Design', 2008, https://jfly.uni-koeln.de/color/).
"""

BLUE, VERMILLION, GREEN, ORANGE = "#0072B2", "#D55E00", "#009E73", "#E69F00"
SKY, PURPLE, BLACK = "#56B4E9", "#CC79A7", "#000000"
GREY = "#767676"  # small letters of it can still be read on white
CYCLE = (BLUE, VERMILLION, GREEN, ORANGE, PURPLE, SKY, BLACK)  # of lines that nothing else tells apart
