using VhdCore.Testing;
using VhdCore.Testing.Independent;

namespace VhdCore.Tests.Vhd;

/// <summary>For each finding of a check, an image that has it. Parents, where one is needed, are sound.</summary>
internal static class DamagedImages
{
    public const string Path = "/vm/leaf.vhd";
    private const int BlockSize = 32 << 10; // bytes
    private const int Size = 256 << 10; // bytes
    private const int Header = 512; // bytes from the file's start
    private const int Table = 1536; // bytes from the file's start

    private static readonly Dictionary<string, Func<MemoryStorageResolver>> Makers = new()
    {
        ["VHD-FOOTER-NONE"] = () => Holding(Enumerable.Repeat((byte)'x', 64 << 10).ToArray()),
        ["VHD-FOOTER-CHECKSUM"] = () => Fixed(image => image[^480]++, mend: false),
        ["VHD-FOOTER-END-MISSING"] = () => Holding(Dynamic().Build()[..^512]),
        ["VHD-FOOTER-COPY-MISSING"] = () => Changed(Dynamic(), image => Array.Clear(image, 0, 512), mend: false),
        ["VHD-FOOTER-COPY-CHECKSUM"] = () =>
        {
            var image = Dynamic().Build()[..^512];
            image[24]++;
            return Holding(image);
        },
        ["VHD-FOOTER-COPY-DIFFERS"] = () => Changed(Dynamic(), image => image[24]++),
        ["VHD-FOOTER-COPY-OTHER-DISK"] = () => Changed(Dynamic(), image => image[70]++),
        ["VHD-FOOTER-IN-FIXED-DATA"] = () => Fixed(image => Dynamic().Build().AsSpan(0, 512).CopyTo(image)),
        ["VHD-FOOTER-POISONED"] = () => BothFooters(Dynamic(), 0, Number("v_poison"), 8),
        ["VHD-FOOTER-VERSION"] = () => BothFooters(Dynamic(), 12, 0x0002_0000, 4),
        ["VHD-FOOTER-FEATURES"] = () => BothFooters(Dynamic(), 8, 0, 4),
        ["VHD-FOOTER-DISK-TYPE"] = () => BothFooters(Dynamic(), 60, 6, 4),
        ["VHD-FOOTER-EARLY-TAPDISK"] = () => BothFooters(Dynamic(PlainDialect.Xen), 32, 1, 4),
        ["VHD-FOOTER-SAVED-STATE"] = () => BothFooters(Dynamic(), 84, 1, 1),
        ["VHD-FOOTER-HIDDEN"] = () => BothFooters(Dynamic(), 85, 1, 1),
        ["VHD-FOOTER-DATA-OFFSET"] = () => Fixed(image => image[^490]++),
        ["VHD-FOOTER-UNIQUE-ID"] = () => Changed(Dynamic(), image => EachFooter(image, at => Array.Clear(image, at + 68, 16))),
        ["VHD-SIZE-INVALID"] = () => BothFooters(Dynamic(), 48, 0, 8),
        ["VHD-SIZE-NOT-SECTORS"] = () => BothFooters(Dynamic(), 48, Size - 1, 8),
        ["VHD-SIZE-DIFFERS-BY-READER"] = () => BothFooters(Dynamic(), 28, Number("vbox"), 4),
        ["VHD-SIZE-OVER-LIMIT"] = () => Holding(new PlainVhdBuilder { FileName = "leaf.vhd", Size = 2041L << 30, BlockSize = 256 << 20, Dialect = PlainDialect.Windows }.Build()),
        ["VHD-FIXED-CUT-SHORT"] = () => Fixed(image => PlainWriting.Number(image, image.Length - 512 + 48, Size + 512, 8)),
        ["VHD-FIXED-SLACK"] = () => Fixed(image => PlainWriting.Number(image, image.Length - 512 + 48, Size - 512, 8)),
        ["VHD-HEADER-LOCATION"] = () => BothFooters(Dynamic(), 16, 1UL << 40, 8),
        ["VHD-HEADER-COOKIE"] = () => InHeader(Dynamic(), 0, Number("cxspars_"), 8),
        ["VHD-HEADER-CHECKSUM"] = () => Changed(Dynamic(), image => image[Header + 900]++, mend: false),
        ["VHD-HEADER-VERSION"] = () => InHeader(Dynamic(), 24, 0x0003_0000, 4),
        ["VHD-HEADER-BLOCK-SIZE"] = () => InHeader(Dynamic(), 32, BlockSize + 512, 4),
        ["VHD-HEADER-BLOCK-SIZE-UNUSUAL"] = () => Holding(Dynamic().Build()),
        ["VHD-HEADER-TABLE-TOO-SMALL"] = () => InHeader(Dynamic(), 28, (Size / BlockSize) - 1, 4),
        ["VHD-HEADER-TABLE-TOO-LARGE"] = () => BothFooters(Dynamic(), 48, ((16UL << 20) + 1) * BlockSize, 8),
        ["VHD-HEADER-TABLE-LOCATION"] = () => InHeader(Dynamic(), 16, 1UL << 40, 8),
        ["VHD-HEADER-TABLE-UNALIGNED"] = () => InHeader(new PlainVhdBuilder { FileName = "leaf.vhd", Size = Size, BlockSize = BlockSize, Dialect = PlainDialect.Qemu }, 16, Table + 4, 8),
        ["VHD-PARENT-UNEXPECTED"] = () => InHeader(Dynamic(), 40, 1, 8),
        ["VHD-PARENT-UNNAMED"] = () => Changed(Child(), image =>
        {
            Array.Clear(image, Header + 576, 8 * 24);
            Array.Clear(image, Header + 64, 512);
        }),
        ["VHD-PARENT-RAW"] = () => Holding(new PlainVhdBuilder { FileName = "leaf.vhd", Size = Size, BlockSize = BlockSize, Dialect = PlainDialect.Xen, RawParentName = "base.raw" }.Build()),
        ["VHD-PARENT-LOCATOR-UNREADABLE"] = () => InHeader(Child(), 576 + 24 + 16, 1UL << 40, 8),
        ["VHD-PARENT-LOCATOR-UNKNOWN"] = () => InHeader(Child(), 576 + 24, Number("Amig"), 4),
        ["VHD-PARENT-NOT-FOUND"] = () => InHeader(Child(), 40, 1, 8),
        ["VHD-PARENT-UNUSABLE"] = () =>
        {
            var resolver = Holding(Child().Build());
            var parent = Base().Build();
            Put(parent, Number("v_poison"), 0, 8);
            resolver.Add("/vm/base.vhd", parent);
            return resolver;
        },
        ["VHD-BATMAP-MISSING"] = () => Batmap(0, Number("xxbatmap"), 8),
        ["VHD-BATMAP-STALE"] = () => BothFooters(Dynamic(PlainDialect.Xen), 28, Number("win "), 4),
        ["VHD-BATMAP-VERSION"] = () => Batmap(20, 0x0002_0000, 4),
        ["VHD-BATMAP-LOCATION"] = () => Batmap(8, 1UL << 60, 8),
        ["VHD-BATMAP-KEY-HASH"] = () => Batmap(29, 1, 1),
        ["VHD-BATMAP-CHECKSUM"] = () => Batmap(24, 1, 4),
        ["VHD-BATMAP-LEADS"] = () => Changed(Dynamic(PlainDialect.Xen), image =>
        {
            var header = Table + 512;
            image[header + 512] = 0x80; // block 0 has one sector
            PlainWriting.Number(image, header + 24, 0xFFFF_FFFF - 0x80, 4);
        }),
        ["VHD-BAT-BEYOND-END"] = () => Entry(1, 0x00FF_FFFF),
        ["VHD-BAT-IN-METADATA"] = () => Entry(1, 2),
        ["VHD-BAT-OVERLAP"] = () => Changed(Dynamic(), image => image.AsSpan(Table, 4).CopyTo(image.AsSpan(Table + 4))),
        ["VHD-BAT-CUT-SHORT"] = () =>
        {
            var image = Dynamic().Build();
            return Holding([.. image[..^1024], .. image[^512..]]);
        },
        ["VHD-BAT-OVER-AUXILIARY"] = () => Changed(
            new PlainVhdBuilder { FileName = "leaf.vhd", Size = Size, BlockSize = BlockSize, Dialect = PlainDialect.Xen }.PutText((Size / 512) - 1, 1),
            image => PlainWriting.Number(image, Table + 28, (Table / 512) + 1, 4)),
        ["VHD-BAT-EXTRA-ENTRIES"] = () => Changed(
            new PlainVhdBuilder { FileName = "leaf.vhd", Size = Size, BlockSize = BlockSize, Dialect = PlainDialect.Qemu, SpareEntries = 1 },
            image => PlainWriting.Number(image, Table + Size / BlockSize * 4, 100, 4)),
        ["VHD-BITMAP-CLEAR-WITH-DATA"] = () => Changed(Dynamic(PlainDialect.Xen), image => image[^1024] = 1),
        ["VHD-LEAK"] = () => Entry(0, 0xFFFF_FFFF),
        ["RAW-LENGTH-NOT-SECTORS"] = () => Holding(new byte[1000], "/vm/leaf.raw"),
        ["RAW-LOOKS-LIKE-VHDX"] = () => Holding(Vhdx.VhdxDamagedImages.Dynamic().Build(), "/vm/leaf.raw"),
        ["RAW-LOOKS-LIKE-VHD"] = () => Holding(Dynamic().Build(), "/vm/leaf.raw"),
    };

    /// <summary>Every finding that an image can be made for.</summary>
    public static IEnumerable<string> Ids => Makers.Keys;

    /// <summary>A folder with an image at <see cref="Path"/>, or <c>/vm/leaf.raw</c> for a raw one, that has the finding.</summary>
    public static MemoryStorageResolver Make(string id) => Makers[id]();

    /// <summary>A dynamic image with one sector in its first and its third block; of QEMU's bitmaps all bits are set.</summary>
    public static PlainVhdBuilder Dynamic(PlainDialect dialect = PlainDialect.Qemu) =>
        new PlainVhdBuilder { FileName = "leaf.vhd", Id = 7, Size = Size, BlockSize = BlockSize, Dialect = dialect }.PutText(0, 1).PutText(2 * BlockSize / 512, 1);

    /// <summary>A child of an image that lies beside it.</summary>
    public static PlainVhdBuilder Child() =>
        new PlainVhdBuilder { FileName = "leaf.vhd", Id = 8, Size = Size, BlockSize = BlockSize, Dialect = PlainDialect.Xen, Parent = Base() }.PutText(8, 3);

    private static PlainVhdBuilder Base() =>
        new PlainVhdBuilder { FileName = "base.vhd", Id = 9, Size = Size, BlockSize = BlockSize, Dialect = PlainDialect.Xen }.PutText(0, 20);

    private static MemoryStorageResolver Holding(byte[] image, string path = Path)
    {
        var resolver = new MemoryStorageResolver();
        resolver.Add(path, image);
        resolver.Add("/vm/base.vhd", Base().Build());
        resolver.Add("/vm/base.raw", new byte[Size]);
        return resolver;
    }

    private static MemoryStorageResolver Changed(PlainVhdBuilder builder, Action<byte[]> change, bool mend = true)
    {
        var image = builder.Build();
        change(image);
        if (mend)
        {
            PlainWriting.MendFooter(image, image.Length - 512);
            if (!builder.IsFixed)
            {
                PlainWriting.MendFooter(image, 0);
                PlainWriting.MendHeader(image, Header);
            }
        }

        return Holding(image);
    }

    private static MemoryStorageResolver Fixed(Action<byte[]> change, bool mend = true) =>
        Changed(new PlainVhdBuilder { FileName = "leaf.vhd", Size = Size, IsFixed = true, Dialect = PlainDialect.Windows }, change, mend);

    private static MemoryStorageResolver BothFooters(PlainVhdBuilder builder, int offset, ulong value, int count) =>
        Changed(builder, image => EachFooter(image, at => Put(image, value, at + offset, count)));

    private static MemoryStorageResolver InHeader(PlainVhdBuilder builder, int offset, ulong value, int count) =>
        Changed(builder, image => Put(image, value, Header + offset, count));

    private static MemoryStorageResolver Batmap(int offset, ulong value, int count) =>
        Changed(Dynamic(PlainDialect.Xen), image => Put(image, value, Table + 512 + offset, count));

    private static MemoryStorageResolver Entry(int index, uint value) =>
        Changed(Dynamic(), image => Put(image, value, Table + (index * 4), 4));

    private static void EachFooter(byte[] image, Action<int> change)
    {
        change(0);
        change(image.Length - 512);
    }

    private static void Put(byte[] image, ulong value, int offset, int count)
    {
        PlainWriting.Number(image, offset, value, count);
        if (offset < 512)
        {
            PlainWriting.MendFooter(image, 0);
        }
    }

    private static ulong Number(string text) => text.Aggregate(0UL, (value, character) => (value << 8) | character);
}
