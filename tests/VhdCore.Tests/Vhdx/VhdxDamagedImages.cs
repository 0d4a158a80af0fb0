using VhdCore.Testing;
using VhdCore.Testing.Independent;

namespace VhdCore.Tests.Vhdx;

/// <summary>For each finding of a check, a VHDX that has it once. Parents, where one is needed, are sound.</summary>
internal static class VhdxDamagedImages
{
    public const string Path = "/vm/leaf.vhdx";

    private const int MiB = 1 << 20;
    private const int Metadata = 2 * MiB; // bytes from the file's start
    private const int Items = Metadata + 65536; // parameters 8, disk size 8, sector sizes 4 and 4, identifier 16, and the locator behind them
    private const int Locator = Items + 40;
    private const string UnknownId = "abcdef01-0203-0405-0607-08090a0b0c0d";
    private const string Linkage = "{10000001-0002-0003-0405-060708090a0b}";

    private static readonly byte[] ChildId = PlainVhdxBytes.Identifier("10000002-0002-0003-0405-060708090a0b");
    private static readonly byte[] Session = PlainVhdxBytes.Identifier("5e551000-0000-4000-8000-000000000001");

    private static readonly Dictionary<string, Func<MemoryStorageResolver>> Makers = new()
    {
        ["VHDX-SIGNATURE"] = () => Changed(image => image[0] ^= 1),
        ["VHDX-FILE-TOO-SHORT"] = () => Holding(Dynamic().Build()[..500_000]),
        ["VHDX-FILE-LENGTH"] = () => Holding([.. Dynamic().Build(), .. new byte[512]]),
        ["VHDX-HEADER-NONE"] = () => Changed(image =>
        {
            image[65536] ^= 1;
            image[131072] ^= 1;
        }),
        ["VHDX-HEADER-CHECKSUM"] = () => Changed(image =>
        {
            image[65536 + 4000] ^= 1;
            image[131072 + 4000] ^= 1;
        }),
        ["VHDX-HEADER-ONE-INVALID"] = () => Changed(image => image[65536 + 4000] ^= 1),
        ["VHDX-HEADER-EQUAL-SEQUENCE"] = () => Changed(image => Array.Copy(image, 65536, image, 131072, 4096)),
        ["VHDX-HEADER-CONTRADICTION"] = () => Headers(8, 7, 8, at => at == 131072, (image, at) => image[at + 16] ^= 1),
        ["VHDX-HEADER-SEQUENCE"] = () => Headers(8, ulong.MaxValue - 5, 8, at => at == 131072),
        ["VHDX-HEADER-VERSION"] = () => Headers(66, 2, 2),
        ["VHDX-LOG-VERSION"] = () => Logged(log => log.Add(), image => SetHeaders(image, 64, 1, 2)),
        ["VHDX-LOG-LOCATION"] = () => Headers(72, 0x80000, 8),
        ["VHDX-LOG-NO-SEQUENCE"] = () => Logged(_ => { }),
        ["VHDX-LOG-DIRTY"] = () => Logged(log => log.Add()),
        ["VHDX-LOG-STALE-ENTRIES"] = () => Changed(image =>
        {
            _ = new PlainVhdxLogWriter(image, PlainVhdxBuilder.LogOffset, MiB, PlainVhdxBytes.Identifier(UnknownId)) { Head = 65536, Sequence = 1UL << 62 }.Add();
            var log = new PlainVhdxLogWriter(image, PlainVhdxBuilder.LogOffset, MiB, Session);
            log.Add();
            log.MarkDirty();
        }),
        ["VHDX-LOG-TORN-ENTRIES"] = () => Logged(
            log =>
            {
                log.Add();
                log.Add((3 * MiB, new byte[4096], 0));
            },
            image => image[PlainVhdxBuilder.LogOffset + 4096 + 5000] ^= 1),
        ["VHDX-LOG-FILE-TRUNCATED"] = () => Logged(log =>
        {
            log.Flushed += MiB;
            log.Add();
        }),
        ["VHDX-LOG-FILE-OFFSETS"] = () => Logged(log =>
        {
            log.Flushed = 0;
            log.Add();
        }),
        ["VHDX-LOG-TARGET"] = () => Logged(log => log.Add((65536, new byte[4096], 0))),
        ["VHDX-LOG-TOO-MANY-UPDATES"] = () => Logged(
            log => log.Add([.. Enumerable.Repeat((3L * MiB, (byte[]?)null, 0L), (1 << 20) + 1)]), _ => { }, new PlainVhdxBuilder { LogSize = 64 * MiB }),
        ["VHDX-REGION-TABLE-NONE"] = () => Changed(image =>
        {
            image[196608] ^= 1;
            image[262144] ^= 1;
        }),
        ["VHDX-REGION-TABLE-CHECKSUM"] = () => Changed(image =>
        {
            image[196608 + 60000] ^= 1;
            image[262144 + 60000] ^= 1;
        }),
        ["VHDX-REGION-TABLE-ONE-INVALID"] = () => Changed(image => image[196608 + 60000] ^= 1),
        ["VHDX-REGION-TABLES-DIFFER"] = () => Tables(16 + 28, 0, 4, at => at == 262144),
        ["VHDX-REGION-DUPLICATE"] = () => Region(UnknownId, 4 * MiB, 0, (UnknownId, 6UL * MiB, MiB, 0U)),
        ["VHDX-REGION-MISSING"] = () => Changed(image =>
        {
            foreach (var at in new[] { 196608, 262144 })
            {
                image[at + 16 + 32] ^= 1;
                PlainVhdxBytes.Number(image, at + 16 + 32 + 28, 0, 4);
                PlainVhdxBytes.Mend(image, at, 65536);
            }
        }),
        ["VHDX-REGION-UNKNOWN-REQUIRED"] = () => Region(UnknownId, 5 * MiB, 1),
        ["VHDX-REGION-UNKNOWN"] = () => Region(UnknownId, 6 * MiB, 0),
        ["VHDX-REGION-NOT-REQUIRED"] = () => Tables(16 + 28, 0, 4),
        ["VHDX-REGION-LOCATION"] = () => Tables(16 + 16, 1UL << 40, 8),
        ["VHDX-REGION-OVERLAP"] = () => Tables(16 + 32 + 24, 2 * MiB, 4),
        ["VHDX-METADATA-TABLE"] = () => Changed(image => image[Metadata] ^= 1),
        ["VHDX-METADATA-ITEM-LOCATION"] = () => Entry(1, 16, 100, 4),
        ["VHDX-METADATA-ITEM-OVERLAP"] = () => Entry(3, 16, 65552, 4),
        ["VHDX-METADATA-ITEM-DUPLICATE"] = () => Changed(image => Array.Copy(image, Metadata + 32, image, Metadata + 64, 16)),
        ["VHDX-METADATA-ITEM-FLAGS"] = () => Entry(1, 24, 4, 4),
        ["VHDX-METADATA-ITEM-SIZE"] = () => Entry(4, 20, 24, 4),
        ["VHDX-METADATA-ITEM-UNKNOWN-REQUIRED"] = () => Holding(new PlainVhdxBuilder { ExtraItems = [(UnknownId, 4, [1])] }.Build()),
        ["VHDX-METADATA-ITEM-UNKNOWN"] = () => Holding(new PlainVhdxBuilder { ExtraItems = [(UnknownId, 0, [1])] }.Build()),
        ["VHDX-METADATA-ITEM-MISSING"] = () => Changed(image =>
        {
            image[Metadata + 64] ^= 1;
            PlainVhdxBytes.Number(image, Metadata + 64 + 24, 0, 4);
        }),
        ["VHDX-METADATA-INCOMPLETE-FILE"] = () => Holding(new PlainVhdxBuilder { ExtraItems = [("71cc85f0-1b69-4e28-9558-c3bf83ae75d3", 0, [])] }.Build()),
        ["VHDX-BLOCK-SIZE"] = () => Number(Items, 3 * MiB, 4),
        ["VHDX-FILE-PARAMETER-FLAGS"] = () => Number(Items + 4, 8, 4),
        ["VHDX-DISK-SIZE"] = () => Number(Items + 8, 513, 8),
        ["VHDX-SECTOR-SIZE"] = () => Number(Items + 16, 2048, 4),
        ["VHDX-BAT-TOO-SMALL"] = () => Number(Items + 8, 1UL << 40, 8),
        ["VHDX-BAT-STATE"] = () => Block(3, 4),
        ["VHDX-BAT-RESERVED-BITS"] = () => Block(3, 8),
        ["VHDX-BAT-RESERVED-OFFSET"] = () => Block(3, (1UL << 40) + 2),
        ["VHDX-BAT-DRAFT-STATE"] = () => Block(3, 5),
        ["VHDX-BAT-BEYOND-END"] = () => Block(3, (1UL << 40) + 6),
        ["VHDX-BAT-IN-METADATA"] = () => Block(3, (2UL * MiB) + 6),
        ["VHDX-BAT-OVERLAP"] = () => Block(3, (4UL * MiB) + 6),
        ["VHDX-BAT-ANCHOR-SHARED"] = () => Block(3, (4UL * MiB) + 3),
        ["VHDX-BAT-CUT-SHORT"] = () => Holding(Dynamic().Build()[..^(MiB / 2)]),
        ["VHDX-BAT-EXTRA-ENTRIES"] = () => Number(3 * MiB + (4 * 8), (5UL * MiB) + 6, 8),
        ["VHDX-BITMAP-MISSING"] = () => Number(Partial(), Partial().BitmapEntryOffset(0), 0, 8),
        ["VHDX-BITMAP-UNEXPECTED"] = () => Number(new PlainVhdxBuilder { DiskSize = 4097L * MiB }, new PlainVhdxBuilder().BitmapEntryOffset(0), (1UL * MiB) + 6, 8),
        ["VHDX-BITMAP-STATE"] = () => Number(Child(), Child().BitmapEntryOffset(0), 3, 8),
        ["VHDX-UNUSED-SPACE"] = () => Block(0, 0),
        ["VHDX-PARENT-UNEXPECTED"] = () => Number(Child(), Items + 4, 0, 4),
        ["VHDX-PARENT-LOCATOR-MISSING"] = () => Number(Items + 4, 2, 4),
        ["VHDX-PARENT-LOCATOR-TYPE"] = () => Number(Child(), Locator, 1, 4),
        ["VHDX-PARENT-LOCATOR-ENTRY"] = () => Holding(Child(("relative_path", "again.vhdx")).Build()),
        ["VHDX-PARENT-LOCATOR-TEXT"] = () => Holding(Child(("volume_path", "ends with NUL\0")).Build()),
        ["VHDX-PARENT-LINKAGE"] = () => Holding(new PlainVhdxBuilder { Locator = [("relative_path", "base.vhdx")] }.Build()),
        ["VHDX-PARENT-LINKAGE-SECOND"] = () => Holding(Child(("parent_linkage2", Linkage)).Build()),
        ["VHDX-PARENT-UNNAMED"] = () => Holding(new PlainVhdxBuilder { Locator = [("parent_linkage", Linkage)] }.Build()),
        ["VHDX-PARENT-NOT-FOUND"] = () => Holding(new PlainVhdxBuilder { Locator = [("parent_linkage", UnknownId), ("relative_path", "base.vhdx")] }.Build()),
        ["VHDX-PARENT-UNUSABLE"] = () =>
        {
            var resolver = Holding(Child().Build());
            var parent = new PlainVhdxBuilder().Build();
            parent[Metadata] ^= 1;
            resolver.Add("/vm/base.vhdx", parent);
            return resolver;
        },
    };

    /// <summary>Every finding that an image can be made for.</summary>
    public static IEnumerable<string> Ids => Makers.Keys;

    /// <summary>A folder with an image at <see cref="Path"/> that has the finding.</summary>
    public static MemoryStorageResolver Make(string id) => Makers[id]();

    /// <summary>An image of four blocks, with the first and the last in the file.</summary>
    public static PlainVhdxBuilder Dynamic() => new() { Blocks = new() { [0] = new(6, new byte[MiB]), [1] = new(6, new byte[MiB]) } };

    /// <summary>A child of an image that lies beside it, without a block of its own.</summary>
    private static PlainVhdxBuilder Child(params (string Key, string Value)[] keys) =>
        new() { DataWriteId = ChildId, Locator = [("parent_linkage", Linkage), ("relative_path", "base.vhdx"), .. keys] };

    private static PlainVhdxBuilder Partial() =>
        new() { DataWriteId = ChildId, Locator = [("parent_linkage", Linkage), ("relative_path", "base.vhdx")], Blocks = new() { [0] = new(7, new byte[MiB]) } };

    private static MemoryStorageResolver Holding(byte[] image)
    {
        var resolver = new MemoryStorageResolver();
        resolver.Add(Path, image);
        resolver.Add("/vm/base.vhdx", new PlainVhdxBuilder().Build());
        return resolver;
    }

    private static MemoryStorageResolver Changed(Action<byte[]> change, PlainVhdxBuilder? builder = null)
    {
        var image = (builder ?? Dynamic()).Build();
        change(image);
        return Holding(image);
    }

    private static MemoryStorageResolver Number(long at, ulong value, int count) => Number(Dynamic(), at, value, count);

    private static MemoryStorageResolver Number(PlainVhdxBuilder builder, long at, ulong value, int count) =>
        Changed(image => PlainVhdxBytes.Number(image, at, value, count), builder);

    private static MemoryStorageResolver Block(long block, ulong entry) => Number(Dynamic().EntryOffset(block), entry, 8);

    private static MemoryStorageResolver Entry(int item, int field, ulong value, int count) => Number(Metadata + 32 + (32 * item) + field, value, count);

    private static MemoryStorageResolver Headers(int field, ulong value, int count, Func<int, bool>? which = null, Action<byte[], int>? more = null) =>
        Changed(image => SetHeaders(image, field, value, count, which, more));

    private static void SetHeaders(byte[] image, int field, ulong value, int count, Func<int, bool>? which = null, Action<byte[], int>? more = null)
    {
        foreach (var at in new[] { 65536, 131072 }.Where(at => which?.Invoke(at) ?? true))
        {
            PlainVhdxBytes.Number(image, at + field, value, count);
            more?.Invoke(image, at);
            PlainVhdxBytes.Mend(image, at, 4096);
        }
    }

    private static MemoryStorageResolver Tables(int field, ulong value, int count, Func<int, bool>? which = null) => Changed(image =>
    {
        foreach (var at in new[] { 196608, 262144 }.Where(at => which?.Invoke(at) ?? true))
        {
            PlainVhdxBytes.Number(image, at + field, value, count);
            PlainVhdxBytes.Mend(image, at, 65536);
        }
    });

    private static MemoryStorageResolver Region(string id, ulong offset, uint required, params (string Id, ulong Offset, uint Length, uint Required)[] more) =>
        Holding([.. new PlainVhdxBuilder { ExtraRegions = [(id, offset, MiB, required), .. more] }.Build(), .. new byte[4 * MiB]]);

    private static MemoryStorageResolver Logged(Action<PlainVhdxLogWriter> write, Action<byte[]>? change = null, PlainVhdxBuilder? builder = null)
    {
        builder ??= Dynamic();
        return Changed(
            image =>
            {
                var log = new PlainVhdxLogWriter(image, PlainVhdxBuilder.LogOffset, builder.LogSize, Session) { Tail = 0 };
                write(log);
                log.MarkDirty();
                change?.Invoke(image);
            },
            builder);
    }
}
