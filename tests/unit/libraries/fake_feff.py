"""A stand-in for FEFF: reads feff.inp where it is started and writes what FEFF would.

Fine structure is a sum over the neighbours of the input; the header is of FEFF10's form.
`{python}` and `{mode}` are filled in by the tests.
"""

SCRIPT = r"""#!{python}
import math, os, sys, time
mode = "{mode}"
with open("{counter}", "a") as counter:
    counter.write(os.getcwd() + "\n")
if mode == "slow":
    time.sleep(60)
if mode == "fail":
    print("SCF did not converge")
    sys.exit(3)
text = open("feff.inp").read()
if mode == "unlucky" and "oct6" in text:
    print("SCF did not converge")
    sys.exit(3)
if mode == "silent":
    print("COREHOLE: Keyword unrecognized.")
    sys.exit(0)
cards = dict(line.split(None, 1) for line in text.splitlines() if " " in line.strip())
frozen = cards["CONTROL"].startswith("0")
if frozen and not os.path.exists("pot.bin"):
    print("failed to read pot.bin")
    sys.exit(2)
open("pot.bin", "w").write("potentials")
rfms = float(cards["FMS"].split()[0])
atoms = []
for line in text.split("ATOMS")[1].splitlines():
    words = line.split()
    if len(words) == 6:
        atoms.append([float(word) for word in words[:3]])
radii = [math.dist(atom, atoms[0]) for atom in atoms[1:]]
radii = [r for r in radii if r <= rfms]
edge, fermi = 11569.461, -6.387
with open("xmu.dat", "w") as out:
    out.write("# " + cards["TITLE"].strip() + "    Feff 10.0.0\n")
    out.write("# POT  SCF  30  5.0000   0, no core-hole, AFOLP (folp(0)= 1.150)\n")
    out.write("# Gam_ch=5.171E+00 H-L exch\n")
    out.write("# Mu=%.3E kf=1.425E+00 Vint=-8.175E+00 Rs_int= 2.544\n" % fermi)
    if mode != "ignorant":
        out.write("# FMS rfms=%7.4f\n" % rfms)
    out.write("#  S02=1.000                                   Global_sig2= 0.00000\n")
    used = 12 if mode == "ignorant" else 0
    out.write("#    %d/   %d paths used\n" % (used, used))
    out.write("#  xsedge+ 50, used to normalize mu           3.9358E-04\n")
    out.write("#  ---------------------------------------------------------------\n")
    out.write("#  omega    e    k    mu    mu0     chi     @#\n")
    for i in range(82):
        e = -21.0 + 0.022 * i * i + 0.2 * i
        k = math.copysign(math.sqrt(abs(e - fermi) / 3.81), e - fermi)
        mu0 = 0.5 + math.atan((e - fermi - 1) / 2.6) / math.pi
        chi = sum(math.sin(2 * k * r) * math.exp(-r) / r for r in radii) * (k > 0)
        row = (e + edge, e, k, mu0 * (1 + chi), mu0, chi)
        out.write(" %10.3f %10.3f %7.3f %12.5E %12.5E %12.5E\n" % row)
"""
