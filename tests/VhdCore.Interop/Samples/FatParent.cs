using System.Text;

namespace VhdCore.Interop.Samples;

/// <summary>A stand-in for the lost parent of dfvfs-fat-differential.vhd: a fixed disk of its size and identifier, every byte the same.</summary>
internal static class FatParent
{
    public static byte[] Image(byte fill)
    {
        const int size = 4194304; // bytes
        var image = new byte[size + 512];
        Array.Fill(image, fill, 0, size);
        var footer = image.AsSpan(size);
        footer.Clear();
        Encoding.ASCII.GetBytes("conectix").CopyTo(footer);
        footer[11] = 2;   // features
        footer[13] = 1;   // version 0x00010000
        footer[16..24].Fill(0xFF);
        Encoding.ASCII.GetBytes("win ").CopyTo(footer[28..]);
        footer[33] = 10;  // creator version 0x000A0000
        Encoding.ASCII.GetBytes("Wi2k").CopyTo(footer[36..]);
        footer[45] = 0x40; // original size 0x400000
        footer[53] = 0x40; // current size
        footer[57] = 120; // cylinders
        footer[58] = 4;
        footer[59] = 17;
        footer[63] = 2;   // fixed
        Convert.FromHexString("5fa21a55f394aa4d99581951a67d5540").CopyTo(footer[68..]);
        uint sum = 0;
        foreach (var b in footer)
        {
            sum += b;
        }

        sum = ~sum;
        for (var i = 67; i >= 64; i--)
        {
            footer[i] = (byte)sum;
            sum >>= 8;
        }

        return image;
    }
}
