using VhdCore.Testing.Independent;

namespace VhdCore.Fuzz;

/// <summary>Small valid images of every kind and dialect, which mutations start from.</summary>
internal static class Corpus
{
    public static IReadOnlyList<FuzzCase> Cases { get; } = Make();

    private static List<FuzzCase> Make()
    {
        var cases = new List<FuzzCase>();

        void Add(string description, params PlainVhdBuilder[] images) =>
            cases.Add(new FuzzCase(description, images[0].FileName, images.ToDictionary(image => image.FileName, image => image.Build())));

        Add("fixed", Image("fixed.vhd", 24 << 10, isFixed: true).PutText(0, 48));
        Add("fixed with the oldest footer", Image("old.vhd", 8 << 10, isFixed: true, footerLength: 511).PutText(3, 9));
        Add("dynamic of Windows", Image("dynamic.vhd", 61 << 10).PutText(0, 8).PutText(17, 3).PutText(118, 4));
        Add("dynamic of QEMU", Image("qemu.vhd", 200 << 10, blockSize: 64 << 10, dialect: PlainDialect.Qemu).PutText(1, 1).PutText(300, 80));
        Add("dynamic with spare entries", Image("spare.vhd", 40 << 10, spareEntries: 300).PutText(0, 1).PutText(72, 8));
        Add("dynamic whose last block is short", Image("short.vhd", 61 << 10, cutsLastBlockShort: true).PutText(8, 30).PutText(121, 1));
        Add("dynamic of one sector", Image("one.vhd", 512, blockSize: 512).PutText(0, 1));

        var parent = Image("parent.vhd", 61 << 10, id: 2).PutText(0, 40).PutText(100, 22);
        Add("differencing of Windows", Image("child.vhd", 64 << 10, id: 3, parent: parent).PutText(5, 9).PutZeros(33, 2).PutText(122, 5), parent);
        var fixedParent = Image("fixedparent.vhd", 32 << 10, id: 4, isFixed: true).PutText(0, 64);
        Add("differencing on a fixed parent", Image("overfixed.vhd", 32 << 10, id: 5, blockSize: 8192, parent: fixedParent).PutText(20, 3), fixedParent);

        var root = Image("base.vhd", 100 << 10, dialect: PlainDialect.Xen, id: 6, isHidden: true).PutText(0, 8).PutText(50, 30);
        var inner = Image("snap.vhd", 100 << 10, dialect: PlainDialect.Xen, id: 7, isHidden: true, parent: root, blockSize: 8192).PutText(4, 9).PutZeros(60, 4);
        Add("chain of XenServer", Image("leaf.vhd", 120 << 10, dialect: PlainDialect.Xen, id: 8, parent: inner).PutText(2, 1).PutText(8, 8).PutText(230, 3), inner, root);

        var onRaw = Image("onraw.vhd", 20 << 10, dialect: PlainDialect.Xen, id: 9, rawParentName: "disk.raw").PutText(10, 2);
        cases.Add(new FuzzCase("differencing on a raw parent", onRaw.FileName, new Dictionary<string, byte[]>
        {
            [onRaw.FileName] = onRaw.Build(),
            ["disk.raw"] = [.. Enumerable.Range(0, 15_000).Select(i => (byte)(i % 251))],
        }));
        return cases;
    }

    private static PlainVhdBuilder Image(
        string name,
        long size,
        bool isFixed = false,
        int footerLength = 512,
        int blockSize = 4096,
        PlainDialect dialect = PlainDialect.Windows,
        int spareEntries = 0,
        bool cutsLastBlockShort = false,
        byte id = 1,
        bool isHidden = false,
        PlainVhdBuilder? parent = null,
        string? rawParentName = null) => new()
        {
            FileName = name,
            Size = size,
            IsFixed = isFixed,
            FooterLength = footerLength,
            BlockSize = blockSize,
            Dialect = dialect,
            SpareEntries = spareEntries,
            CutsLastBlockShort = cutsLastBlockShort,
            Id = id,
            IsHidden = isHidden,
            Parent = parent,
            RawParentName = rawParentName,
        };
}
